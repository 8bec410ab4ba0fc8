package contentrange

import "testing"

func TestF22AcceptSelectsTheStateOnlyIfItPrefersJSONToTheFile(t *testing.T) {
	for accept, want := range map[string]bool{
		"":                                                     false,
		"*/*":                                                  false,
		"application/json":                                     true,
		"Application/JSON; charset=utf-8":                      true,
		"application/json;odata=minimal":                       true,
		"application/json, text/plain, */*":                    false, // what axios sends
		"application/json, */*;q=0.5":                          true,
		"*/*;q=0.1, application/json;q=0.2":                    true,
		"application/json;q=0.1, */*":                          false,
		"application/json;q=0":                                 false,
		"application/json, application/problem+json":           true,
		"application/json, text/json":                          true,
		"application/json, video/mp4":                          false,
		"application/json, video/*":                            false,
		"application/json;q=0.9, video/mp4;q=0.1, */*":         true,
		"text/html,application/xhtml+xml,*/*;q=0.8":            false,
		"text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2": false, // what Java sends
		"application/*":                                        false,
		"nonsense, application/json":                           true,
		"application/json;q=high":                              false,
		", ,":                                                  false,
	} {
		if got := prefersJSON([]string{accept}, "video/mp4"); got != want {
			t.Errorf("Accept: %s: the state is preferred: %v, want %v", accept, got, want)
		}
	}
	if !prefersJSON([]string{"application/json"}, "application/json") {
		t.Error("Accept does not select the state if the file is JSON")
	}
	if prefersJSON([]string{"application/json", "*/*"}, "video/mp4") {
		t.Error("one of two Accept headers is ignored")
	}
}
