package hooks

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

// amending is a door whose app amends each answer, whatever the door answers.
type amending struct {
	status int
	body   string
	wishes []ResponseOverride
}

func (amending) Name() string                  { return "amending" }
func (amending) Matches(*http.Request) bool    { return true }
func (amending) AddOptionsHeaders(http.Header) {}
func (d amending) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, override := range d.wishes {
		OverrideResponse(r.Context(), override)
	}
	if d.status != 0 {
		w.WriteHeader(d.status)
	}
	_, _ = io.WriteString(w, d.body)
}

func TestOnlyAnAnswerOfSuccessToASenderIsAmended(t *testing.T) {
	first := ResponseOverride{Status: 202, Header: map[string]string{"X-A": "1", "X-B": "1"}, Body: "first"}
	second := ResponseOverride{Header: map[string]string{"X-B": "2", "Content-Length": "999"}}
	for name, c := range map[string]struct {
		method string
		door   amending
		status int
		a, b   string
		body   string
	}{
		"amended":             {"PATCH", amending{204, "", []ResponseOverride{first}}, 202, "1", "1", "first"},
		"the last word":       {"PUT", amending{201, "{}", []ResponseOverride{first, second}}, 202, "1", "2", "first"},
		"headers alone":       {"POST", amending{201, "{}", []ResponseOverride{second}}, 201, "", "2", "{}"},
		"no body where none":  {"PATCH", amending{204, "", []ResponseOverride{{Body: "lost"}}}, 204, "", "", ""},
		"no status of errors": {"PUT", amending{0, "own", []ResponseOverride{{Status: 500}}}, 200, "", "", "own"},
		"a failure":           {"PUT", amending{503, "later", []ResponseOverride{first}}, 503, "", "", "later"},
		"a reader":            {"GET", amending{200, "file", []ResponseOverride{first}}, 200, "", "", "file"},
	} {
		router := Router(CORS{}, Options{Log: slog.New(slog.DiscardHandler)}, c.door)
		rec := httptest.NewRecorder()
		router.ServeHTTP(rec, httptest.NewRequest(c.method, "/files/x", nil))
		if h := rec.Header(); rec.Code != c.status || h.Get("X-A") != c.a || h.Get("X-B") != c.b || rec.Body.String() != c.body || h.Get("Content-Length") == "999" {
			t.Errorf("%s: %d %v %q", name, rec.Code, h, rec.Body)
		}
	}
}
