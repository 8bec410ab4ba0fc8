package main

import (
	"net/http"
	"strings"
	"testing"
)

// limitedTo is a Server with an app that is asked about uploads, and a limit of live ones.
func limitedTo(t *testing.T, b *tusdBackend, live int) *running {
	t.Helper()
	cfg := hookedConfig(t, b, "pre-create")
	cfg.LimitIncompleteUploads = live
	return startHooked(t, cfg)
}

// What the app has refused, or not answered, takes nobody's place.
func TestRejectedUploadsAreNotCounted(t *testing.T) {
	for answer, want := range map[string]int{
		"":                                  http.StatusServiceUnavailable,
		`{"RejectUpload":true}`:             http.StatusBadRequest,
		`{"ChangeFileInfo":{"ID":"no/id"}}`: http.StatusBadRequest,
		`{"ChangeFileInfo":{"ID":"good","Storage":{"Key":"../bad"}}}`: http.StatusBadRequest,
	} {
		b := startBackend(t, says(answer))
		r := limitedTo(t, b, 1)
		for range 3 {
			if a := do(t, h1(t), "POST", r.URL(), nil, tusCreate...); a.StatusCode != want {
				t.Errorf("the app says %q: %s %s, want %d", answer, a.Status, a.body, want)
			}
		}
		b.change(says("{}"))
		if a := do(t, h1(t), "POST", r.URL(), nil, tusCreate...); a.StatusCode != http.StatusCreated {
			t.Errorf("the app said %q, and agrees now: %s %s", answer, a.Status, a.body)
		}
		if a := do(t, h1(t), "POST", r.URL(), nil, tusCreate...); a.StatusCode != http.StatusTooManyRequests {
			t.Errorf("one more than may be: %s %s", a.Status, a.body)
		}
	}
}

func TestUploadWithAnIDChosenByTheAppCountsUntilItEnds(t *testing.T) {
	b := startBackend(t, func(_ string, upload map[string]any) string {
		return `{"ChangeFileInfo":{"ID":"chosen-` + upload["MetaData"].(map[string]any)["filename"].(string) + `"}}`
	})
	r := limitedTo(t, b, 1)
	create := func(name string, want int) {
		t.Helper()
		if a := do(t, h1(t), "POST", r.URL(), nil, "Tus-Resumable", "1.0.0", "Upload-Length", "5", "Upload-Metadata", "filename "+name); a.StatusCode != want {
			t.Errorf("create %s: %s %s, want %d", name, a.Status, a.body, want)
		}
	}
	create("b25l", http.StatusCreated)
	create("b25l", http.StatusConflict)
	create("dHdv", http.StatusTooManyRequests)
	if a := do(t, h1(t), "PATCH", r.URL()+"chosen-one", strings.NewReader("bytes"), tusPatch...); a.StatusCode != http.StatusNoContent {
		t.Fatalf("filled: %s %s", a.Status, a.body)
	}
	create("b25l", http.StatusConflict)
	create("dHdv", http.StatusCreated)
}
