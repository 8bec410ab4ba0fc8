package main

import (
	"net/http"
	"strings"
	"testing"
)

// limitedTo starts a Server with pre-create hooks and a limit of incomplete uploads.
func limitedTo(t *testing.T, b *tusdBackend, limit int) *running {
	t.Helper()
	cfg := hookedConfig(t, b, "pre-create")
	cfg.LimitIncompleteUploads = limit
	return startHooked(t, cfg)
}

func TestRejectedUploadsAreNotCounted(t *testing.T) {
	for answer, want := range map[string]int{
		"":                                  http.StatusServiceUnavailable,
		`{"RejectUpload":true}`:             http.StatusBadRequest,
		`{"ChangeFileInfo":{"ID":"no/id"}}`: http.StatusBadRequest,
		`{"ChangeFileInfo":{"ID":"good","Storage":{"Key":"../bad"}}}`: http.StatusBadRequest,
	} {
		b := startBackend(t, respond(answer))
		r := limitedTo(t, b, 1)
		for range 3 {
			if a := do(t, h1(t), "POST", r.URL(), nil, tusCreate...); a.StatusCode != want {
				t.Errorf("the app responds %q: %s %s, want %d", answer, a.Status, a.body, want)
			}
		}
		b.change(respond("{}"))
		if a := do(t, h1(t), "POST", r.URL(), nil, tusCreate...); a.StatusCode != http.StatusCreated {
			t.Errorf("the app responded %q, and accepts now: %s %s", answer, a.Status, a.body)
		}
		if a := do(t, h1(t), "POST", r.URL(), nil, tusCreate...); a.StatusCode != http.StatusTooManyRequests {
			t.Errorf("one more than allowed: %s %s", a.Status, a.body)
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
