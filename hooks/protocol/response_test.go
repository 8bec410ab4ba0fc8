package protocol

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

// overridingProtocol overrides each of its responses.
type overridingProtocol struct {
	status    int
	body      string
	overrides []ResponseOverride
}

func (overridingProtocol) Name() string                  { return "overriding" }
func (overridingProtocol) Matches(*http.Request) bool    { return true }
func (overridingProtocol) AddOptionsHeaders(http.Header) {}
func (d overridingProtocol) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, override := range d.overrides {
		OverrideResponse(r.Context(), override)
	}
	if d.status != 0 {
		w.WriteHeader(d.status)
	}
	_, _ = io.WriteString(w, d.body)
}

func TestOnlySuccessfulResponsesToWritesAreOverridden(t *testing.T) {
	first := ResponseOverride{Status: 202, Header: map[string]string{"X-A": "1", "X-B": "1"}, Body: "first"}
	second := ResponseOverride{Header: map[string]string{"X-B": "2", "Content-Length": "999"}}
	for name, c := range map[string]struct {
		method   string
		protocol overridingProtocol
		status   int
		a, b     string
		body     string
	}{
		"override":            {"PATCH", overridingProtocol{204, "", []ResponseOverride{first}}, 202, "1", "1", "first"},
		"the last word":       {"PUT", overridingProtocol{201, "{}", []ResponseOverride{first, second}}, 202, "1", "2", "first"},
		"headers alone":       {"POST", overridingProtocol{201, "{}", []ResponseOverride{second}}, 201, "", "2", "{}"},
		"no body where none":  {"PATCH", overridingProtocol{204, "", []ResponseOverride{{Body: "lost"}}}, 204, "", "", ""},
		"no status of errors": {"PUT", overridingProtocol{0, "own", []ResponseOverride{{Status: 500}}}, 200, "", "", "own"},
		"a failure":           {"PUT", overridingProtocol{503, "later", []ResponseOverride{first}}, 503, "", "", "later"},
		"a reader":            {"GET", overridingProtocol{200, "file", []ResponseOverride{first}}, 200, "", "", "file"},
	} {
		router := Router(CORS{}, Options{Log: slog.New(slog.DiscardHandler)}, c.protocol)
		rec := httptest.NewRecorder()
		router.ServeHTTP(rec, httptest.NewRequest(c.method, "/files/x", nil))
		if h := rec.Header(); rec.Code != c.status || h.Get("X-A") != c.a || h.Get("X-B") != c.b || rec.Body.String() != c.body || h.Get("Content-Length") == "999" {
			t.Errorf("%s: %d %v %q", name, rec.Code, h, rec.Body)
		}
	}
}
