package test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// app answers who makes a request, and remembers what it was asked.
type app struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []appQuestion
	bodies string
	answer func(w http.ResponseWriter, q appQuestion)
}

type appQuestion struct {
	Method, Path, UploadID, RemoteAddr string
	Header                             map[string]string
}

func newApp(t *testing.T, answer func(http.ResponseWriter, appQuestion)) *app {
	a := &app{answer: answer}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var q appQuestion
		_ = json.Unmarshal(body, &q) // a question that is none is found below
		a.mu.Lock()
		a.asked, a.bodies = append(a.asked, q), a.bodies+string(body)
		a.mu.Unlock()
		a.answer(w, q)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *app) times() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.asked)
}

func TestAppSaysWhoComesIn(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(w http.ResponseWriter, q appQuestion) {
		switch q.Header["Cookie"] + q.Header["X-Key"] {
		case "session=anna":
			fmt.Fprint(w, `{"subject":"anna","maxSize":100,"contentTypes":["image/*"],"idPrefix":"anna-","expireAfter":3600,"cacheFor":60}`)
		case "bert's":
			fmt.Fprint(w, `{"subject":"bert"}`)
		case "session=unknown":
			w.WriteHeader(http.StatusUnauthorized)
		case "session=barred":
			w.WriteHeader(http.StatusForbidden)
		}
	})
	s := start(t, "--auth-hook-url", a.URL+"/who", "--auth-hook-header", "X-Key", "--ticket-secret", TicketSecret, "--ticket-ttl", "1h")
	anna, bert := "Cookie: session=anna", "X-Key: bert's"
	image := "Content-Type: image/png"
	ask(t, "PUT", s.URL("anna-1"), strings.NewReader("0123456789"), append(tenBytes, anna, image), 202)
	for range 5 { // remembered
		ask(t, "PUT", s.URL("anna-1"), strings.NewReader("0123456789"), append(tenBytes, anna, image), 202)
	}
	if n := a.times(); n != 1 {
		t.Errorf("the app was asked %d times", n)
	}
	ask(t, "PUT", s.URL("bert-1"), strings.NewReader("0123456789"), append(tenBytes, anna, image), 403)
	ask(t, "PUT", s.URL("anna-2"), strings.NewReader("x"), []string{anna, "Content-Type: text/html"}, 403)
	ask(t, "PUT", s.URL("anna-3"), strings.NewReader("0123456789"), []string{"Content-Range: bytes 0-9/101", anna, image}, 413)
	created := ask(t, "POST", s.URL(""), nil, []string{tusVersion, "Upload-Length: 5", "Upload-Metadata: filetype aW1hZ2UvcG5n", anna}, 201)
	if url := created.Header.Get("Location"); !strings.HasPrefix(idOf(url), "anna-") {
		t.Errorf("Location %q does not begin with the prefix", url)
	}
	if at, err := http.ParseTime(created.Header.Get("Upload-Expires")); err != nil || time.Until(at) > time.Hour {
		t.Errorf("it expires at %v (%v), want an hour", at, err)
	}
	ask(t, "GET", s.URL("anna-1"), nil, []string{anna}, 200)
	ask(t, "GET", s.URL("anna-1"), nil, []string{bert}, 404)
	before := a.times()
	ask(t, "GET", s.URL("anna-1"), nil, []string{bert}, 404) // no cacheFor: asked again
	ask(t, "GET", s.URL("anna-1"), nil, nil, 401)            // no credentials: not asked
	if n := a.times() - before; n != 1 {
		t.Errorf("the app was asked %d times", n)
	}
	ask(t, "GET", s.URL("anna-1")+"?ticket=eyJhbGciOiJub25lIn0.e30.", nil, []string{"Cookie: session=unknown"}, 401)
	ask(t, "GET", s.URL("anna-1"), nil, []string{"Cookie: session=barred"}, 403)
	if a.asked[0].Path != "/files/anna-1" || a.asked[0].UploadID != "anna-1" || a.asked[0].Method != "PUT" || a.asked[0].RemoteAddr != "127.0.0.1" {
		t.Errorf("the app was asked %+v", a.asked[0])
	}
	if strings.Contains(a.bodies, "eyJ") {
		t.Error("the app gets to see a ticket")
	}
}

// The app decides about what is done: not about another method that the request says it
// has, and not by what it said about a method that does not exist.
func TestAppIsAskedAboutTheMethodThatIsDone(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(w http.ResponseWriter, q appQuestion) {
		if q.Method == "PUT" || q.Method == "PATCH" || q.Method == "POST" || q.Method == "DELETE" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprint(w, `{"subject":"anna","cacheFor":60}`)
	})
	s := start(t, "--auth-hook-url", a.URL)
	before := listing(t, s.Data)
	cookie, hello := "Cookie: session=anna", "Content-Range: bytes 0-4/5"
	as := func(method string) string { return "X-HTTP-Method-Override: " + method }
	head, err := Do(http.DefaultClient, request(t, "POST", s.URL("it"), strings.NewReader("hello"), cookie, hello, as("HEAD")))
	if err != nil || head.Status != 404 {
		t.Errorf("a POST that means HEAD: %d, %v", head.Status, err)
	}
	ask(t, "POST", s.URL("it"), strings.NewReader("hello"), []string{cookie, hello, as("GET")}, 204) // that range is not stored
	ask(t, "POST", s.URL("it"), strings.NewReader("hello"), []string{cookie, hello, as("PATCH")}, 403)
	asked := a.times()
	for _, invented := range []string{"read", "write", "(write)", "PROPFIND"} {
		ask(t, "POST", s.URL("it"), nil, []string{cookie, as(invented)}, 405)
	}
	for _, invented := range []string{"read", "write", "PROPFIND"} {
		ask(t, invented, s.URL("it"), nil, []string{cookie}, 405)
	}
	if n := a.times(); n != asked {
		t.Errorf("the app was asked about methods that there are not: %+v", a.asked[asked:])
	}
	ask(t, "PUT", s.URL("it"), strings.NewReader("hello"), []string{cookie}, 403)
	if files := listing(t, s.Data); !maps.Equal(before, files) {
		t.Errorf("something was stored: %v", files)
	}
}

func TestPieceMayComeAsAPostThatMeansAnotherMethod(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i, method := range []string{"PUT", "PATCH"} {
		piece := fmt.Sprintf("Content-Range: bytes %d-%d/10", 5*i, 5*i+4)
		ask(t, "POST", s.URL("it"), strings.NewReader("hello"), []string{piece, "X-HTTP-Method-Override: " + method}, 202-i)
	}
	head := ask(t, "POST", s.URL("it"), nil, []string{"X-HTTP-Method-Override: HEAD"}, 200)
	if len(head.Body) != 0 || head.Header.Get("Upload-Offset") != "10" {
		t.Errorf("%+v", head)
	}
}

// An answer that is not clear admits no client, and refuses none for good.
func TestNoRequestIsAdmittedWhileTheAppIsUnclear(t *testing.T) {
	t.Parallel()
	answers := map[string]func(http.ResponseWriter){
		"500":               func(w http.ResponseWriter) { w.WriteHeader(500) },
		"404":               func(w http.ResponseWriter) { w.WriteHeader(404) },
		"204":               func(w http.ResponseWriter) { w.WriteHeader(204) },
		"201 with a body":   func(w http.ResponseWriter) { w.WriteHeader(201); fmt.Fprint(w, `{"subject":"anna"}`) },
		"redirect":          func(w http.ResponseWriter) { w.Header().Set("Location", "/yes"); w.WriteHeader(303) },
		"nothing":           func(http.ResponseWriter) {},
		"no JSON":           func(w http.ResponseWriter) { fmt.Fprint(w, "yes") },
		"no subject":        func(w http.ResponseWriter) { fmt.Fprint(w, `{"maxSize":1}`) },
		"a number":          func(w http.ResponseWriter) { fmt.Fprint(w, `{"subject":7}`) },
		"a mad limit":       func(w http.ResponseWriter) { fmt.Fprint(w, `{"subject":"anna","maxSize":-1}`) },
		"too long":          func(w http.ResponseWriter) { fmt.Fprint(w, `{"subject":"`+strings.Repeat("a", 1<<20)+`"}`) },
		"too late":          func(w http.ResponseWriter) { time.Sleep(2 * time.Second); fmt.Fprint(w, `{"subject":"anna"}`) },
		"broken connection": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	}
	a := newApp(t, func(w http.ResponseWriter, q appQuestion) {
		if q.Path == "" { // the redirect was followed
			fmt.Fprint(w, `{"subject":"anna"}`)
			return
		}
		answers[q.Header["Authorization"]](w)
	})
	s := start(t, "--auth-hook-url", a.URL, "--auth-hook-timeout", "1s")
	before := listing(t, s.Data)
	for name := range answers {
		t.Run(name, func(t *testing.T) {
			answer := ask(t, "PUT", s.URL("it"), strings.NewReader("x"), []string{"Authorization: " + name}, 503)
			if answer.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		})
	}
	// tus clients forget an upload after any other answer to a HEAD.
	ask(t, "HEAD", s.URL("it"), nil, []string{tusVersion, "Authorization: 500"}, 423)
	if files := listing(t, s.Data); !maps.Equal(before, files) {
		t.Errorf("something was stored: %v", files)
	}
}
