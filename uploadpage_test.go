package holdfast_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast"
)

func TestUploadPageIsServedBesideUploads(t *testing.T) {
	server, err := holdfast.New(holdfast.Options{Dir: t.TempDir(), BasePath: "/", UploadPage: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Shutdown(t.Context()) })
	for _, c := range []struct {
		method, path string
		status       int
		policy       string
	}{
		{"GET", "/_upload/", http.StatusOK, "script-src 'nonce-"},
		{"HEAD", "/_upload/page.js", http.StatusOK, "sandbox"},
		{"PUT", "/_upload/", http.StatusMethodNotAllowed, "sandbox"},
		{"OPTIONS", "/_upload/", http.StatusMethodNotAllowed, "sandbox"},
		{"PUT", "/_uploads", http.StatusBadRequest, "sandbox"},
		{"PUT", "/upload", http.StatusCreated, "sandbox"},
	} {
		w := httptest.NewRecorder()
		server.ServeHTTP(w, httptest.NewRequest(c.method, c.path, strings.NewReader("x")))
		if policy := w.Header().Get("Content-Security-Policy"); w.Code != c.status || !strings.Contains(policy, c.policy) {
			t.Errorf("%s %s: %d, policy %q", c.method, c.path, w.Code, policy)
		}
	}
}
