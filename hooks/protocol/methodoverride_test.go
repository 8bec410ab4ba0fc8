package protocol

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// methodProtocol matches requests with one method.
type methodProtocol struct {
	testProtocol
	method string
}

func (d methodProtocol) Matches(r *http.Request) bool { return r.Method == d.method }

func TestRoutingUsesTheOverriddenMethod(t *testing.T) {
	for _, c := range []struct {
		method, override, served string
		status                   int
	}{
		{"POST", "", "POST", 200},
		{"POST", "PATCH", "PATCH", 200},
		{"POST", "HEAD", "HEAD", 200},
		{"POST", "DELETE", "DELETE", 200},
		{"POST", "POST", "POST", 200},
		{"POST", "OPTIONS", "", 200},
		{"PUT", "DELETE", "PUT", 200}, // only a POST can be overridden
		{"POST", "write", "", 405},
		{"POST", "patch", "", 405}, // methods are case-sensitive
		{"write", "", "", 405},
		{"PROPFIND", "PATCH", "", 405},
	} {
		served := ""
		var protocols []Protocol
		for _, method := range []string{"HEAD", "GET", "POST", "PUT", "PATCH", "DELETE"} {
			protocols = append(protocols, methodProtocol{func(_ http.ResponseWriter, r *http.Request) { served = r.Method }, method})
		}
		everything := testProtocol(func(_ http.ResponseWriter, r *http.Request) { served = "other: " + r.Method })
		router := Router(CORS{}, Options{URLs: URLs{BasePath: "/files/"}, Log: slog.New(slog.DiscardHandler)}, append(protocols, everything)...)
		r := httptest.NewRequest(c.method, "/files/a", strings.NewReader("x"))
		r.Header.Set("X-HTTP-Method-Override", c.override)
		w := httptest.NewRecorder()
		router.ServeHTTP(w, r)
		if served != c.served || w.Code != c.status {
			t.Errorf("%s overridden by %q: served as %q, status %d", c.method, c.override, served, w.Code)
		}
		if c.status == 405 && !strings.Contains(w.Header().Get("Allow"), "PATCH") {
			t.Errorf("%s overridden by %q: Allow: %q", c.method, c.override, w.Header().Get("Allow"))
		}
		if r.Method != c.method {
			t.Errorf("the request of outer handlers was changed: %s", r.Method)
		}
	}
}

// The client of a POST would wait for a body of the announced Content-Length.
func TestTheResponseToAPostOverriddenToHEADHasNoBody(t *testing.T) {
	router := Router(CORS{}, Options{URLs: URLs{BasePath: "/files/"}, Log: slog.New(slog.DiscardHandler)},
		testProtocol(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5")
			w.Header().Set("Upload-Offset", "5")
			_, _ = w.Write([]byte("hello"))
		}))
	r := httptest.NewRequest("POST", "/files/a", nil)
	r.Header.Set("X-HTTP-Method-Override", "HEAD")
	w := httptest.NewRecorder()
	router.ServeHTTP(w, r)
	if h := w.Header(); w.Code != 200 || w.Body.Len() != 0 || h.Get("Content-Length") != "" || h.Get("Upload-Offset") != "5" {
		t.Errorf("%d, %v, %q", w.Code, h, w.Body)
	}
}
