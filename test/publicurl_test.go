package test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// All URLs of an upload are those by which clients reach it, whatever the proxy in front does
// to requests.
func TestURLsOfUploadsAreThePublicOnes(t *testing.T) {
	t.Parallel()
	s := guarded(t, "--ticket-ttl", "1h", "--public-url", "https://up.example.com/u")
	anna := Bearer(Token("anna"))
	part := ask(t, "POST", s.URL(""), strings.NewReader("bytes"), []string{tusVersion, anna, "Upload-Length: 5", "Upload-Concat: partial", offsetBytes}, 201).Header.Get("Location")
	if !strings.HasPrefix(part, "https://up.example.com/u/") || !strings.Contains(part, "?ticket=") {
		t.Errorf("Location of tus: %s", part)
	}
	final := ask(t, "POST", s.URL(""), nil, []string{tusVersion, anna, "Upload-Concat: final;" + part + " " + part}, 201).Header.Get("Location")
	id, _, _ := strings.Cut(strings.TrimPrefix(final, "https://up.example.com/u/"), "?")
	plain, _, _ := strings.Cut(part, "?")
	if got := ask(t, "HEAD", s.URL(id), nil, []string{tusVersion, anna}, 200).Header.Get("Upload-Concat"); got != "final;"+plain+" "+plain {
		t.Errorf("Upload-Concat: %s", got)
	}
	a := ask(t, "PUT", s.URL("whole"), strings.NewReader("bytes"), []string{anna}, 201)
	var state struct{ UploadURL string }
	if err := json.Unmarshal(a.Body, &state); err != nil || !strings.HasPrefix(state.UploadURL, "https://up.example.com/u/whole?ticket=") {
		t.Errorf("uploadUrl: %s", a.Body)
	}
	if got := a.Header.Get("Location"); got != "https://up.example.com/u/whole" {
		t.Errorf("Location: %s", got)
	}
}

// A proxy that passes on no name makes tickets for URLs that no client reaches.
func TestATicketForALoopbackAddressIsWarnedAboutOnce(t *testing.T) {
	t.Parallel()
	s := guarded(t, "--ticket-ttl", "1h")
	for range 3 {
		ask(t, "PUT", s.URL("it"), strings.NewReader("bytes"), []string{Bearer(Token("anna")), "X-Forwarded-For: 192.0.2.1"}, 201)
	}
	eventually(t, 30*time.Second, "the warning", func() bool { return strings.Contains(s.Log(), "--public-url") })
	if n := strings.Count(s.Log(), "--public-url"); n != 1 {
		t.Errorf("%d warnings", n)
	}
	if strings.Contains(s.Log(), "ticket=") {
		t.Error("the ticket is in the log")
	}
}

// Pages can read every answer, refusals too, and every header of it that a hook has set.
func TestPagesCanReadEveryAnswer(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"HTTPResponse":{"Header":{"X-Quota":"5","Access-Control-Expose-Headers":"X-Other"}}}`))
	}))
	defer app.Close()
	s := start(t, "--cors-expose-header", "X-Cache", "--hook-url", app.URL, "--hook-events", "pre-create")
	root := "http://" + s.Addr
	page := "Origin: https://app.example"
	for name, c := range map[string]struct {
		method, url string
		fields      []string
		want        int
	}{
		"created":        {"POST", s.URL(""), []string{tusVersion, "Upload-Length: 5"}, 201},
		"stored":         {"PUT", s.URL("it"), nil, 201},
		"no upload":      {"GET", s.URL("none"), nil, 404},
		"another method": {"PURGE", s.URL("it"), nil, 405},
		"outside":        {"GET", root + "/elsewhere", nil, 404},
		"a probe":        {"GET", root + "/readyz", nil, 200},
		"a bad probe":    {"DELETE", root + "/readyz", nil, 405},
		"a bad id":       {"GET", s.URL("..x"), nil, 400},
		"another type":   {"PUT", s.URL("form"), []string{"Content-Type: multipart/form-data; boundary=x"}, 415},
	} {
		h := ask(t, c.method, c.url, strings.NewReader(""), append(c.fields, page), c.want).Header
		list := ", " + h.Get("Access-Control-Expose-Headers") + ","
		if h.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(list, ", X-Cache,") || !strings.Contains(list, ", Upload-Offset,") {
			t.Errorf("%s: %v", name, h)
		}
		if c.want == 201 && (!strings.Contains(list, ", X-Quota,") || !strings.Contains(list, ", X-Other,") || len(h.Values("Access-Control-Expose-Headers")) != 1) {
			t.Errorf("%s: exposed are %s", name, h.Values("Access-Control-Expose-Headers"))
		}
	}
	if h := ask(t, "GET", root+"/elsewhere", nil, nil, 404).Header; h.Get("Access-Control-Allow-Origin") != "" || h.Get("Access-Control-Expose-Headers") != "" {
		t.Errorf("without an origin: %v", h)
	}
}
