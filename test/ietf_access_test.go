package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/holdfast-upload/holdfast/hooks/auth"
)

const ietfSix = "Upload-Draft-Interop-Version: 6"

// six is a client of interop version 6.
func six(t *testing.T, s *Server) *ietfClient {
	return &ietfClient{t, ietfVersions[6-3], s, http.DefaultClient}
}

// The URL from the 104 outlives the token: it has a ticket, where tickets are on.
func TestIETFURLsHaveTickets(t *testing.T) {
	t.Parallel()
	s := guarded(t, "--ticket-ttl", "168h")
	c := six(t, s)
	anna := Bearer(Token("anna"))
	answer, informed := c.send("POST", s.URL(""), strings.NewReader("ab"), c.completeness(false), "Upload-Length: 5", anna)
	demand(t, answer, 201)
	url := answer.Header.Get("Location")
	if len(informed) != 1 || informed[0].header.Get("Location") != url || !strings.Contains(url, "?ticket=") {
		t.Fatalf("%v, Location: %s", informed, url)
	}
	c.wantState("HEAD", c.state(url), 2, false)
	plain, _, _ := strings.Cut(url, "?")
	for method, at := range map[string]string{"HEAD": plain, "PATCH": plain} {
		refused, _ := c.send(method, at, nil)
		demand(t, Answer{Status: refused.Status}, 401)
	}
	refused, _ := c.send("DELETE", url, nil)
	demand(t, refused, 403)
	demand(t, c.append(url, 2, "cde", true), 201)

	ticket := TicketFor(auth.Ticket{Upload: "chosen", Subject: "anna", Create: true, MaxSize: 100})
	answer, informed = c.send("PUT", s.URL("chosen")+"?ticket="+ticket, strings.NewReader("abcde"), c.completeness(true))
	demand(t, answer, 201)
	if len(informed) != 1 {
		t.Errorf("%v", informed)
	}
	answer, informed = c.send("PUT", s.URL("other")+"?ticket="+ticket, strings.NewReader("abcde"), c.completeness(true))
	demand(t, answer, 403)
	if len(informed) > 0 {
		t.Errorf("a forbidden creation was announced: %v", informed)
	}
	large := TicketFor(auth.Ticket{Upload: "large", Subject: "anna", Create: true, MaxSize: 4})
	answer, _ = c.send("PUT", s.URL("large")+"?ticket="+large, strings.NewReader("abcde"), c.completeness(true))
	demand(t, answer, 413)
	c.wantFields("413", answer.Header, "Upload-Limit: min-size=0, max-size=4, expires=86400", c.completeness(true))
}

func TestIETFLimitsOfAPrincipalHold(t *testing.T) {
	t.Parallel()
	s := guarded(t, "--limit-uploads-per-minute", "1", "--limit-bytes-per-day", "100")
	c := six(t, s)
	anna := Bearer(Token("anna"))
	answer, _ := c.send("POST", s.URL(""), strings.NewReader("ab"), c.completeness(false), anna)
	demand(t, answer, 201)
	answer, informed := c.send("POST", s.URL(""), strings.NewReader("ab"), c.completeness(false), anna)
	demand(t, answer, 429)
	wantLater(t, answer)
	c.wantFields("429", answer.Header, c.completeness(false))
	if len(informed) > 0 {
		t.Errorf("%v", informed)
	}
}

// An app that rejects: before the creation nothing is announced; before the file is made the
// rejection is final.
func TestIETFRejectionsByTheAppReachTheClient(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		var hook struct {
			Type  string
			Event struct {
				Upload struct{ MetaData map[string]string }
			}
		}
		_ = json.NewDecoder(r.Body).Decode(&hook)
		w.Header().Set("Content-Type", "application/json")
		if hook.Event.Upload.MetaData["filetype"] == "reject/"+hook.Type {
			fmt.Fprint(w, `{"RejectUpload":true,"HTTPResponse":{"StatusCode":422,"Body":"no","Header":{"X-Why":"because"}}}`)
			return
		}
		_, _ = io.WriteString(w, "{}")
	}))
	defer app.Close()
	s := start(t, "--hook-url", app.URL, "--hook-events", "pre-create,pre-finish,post-finish", "--hook-timeout", "5s")
	c := six(t, s)
	for typ, announced := range map[string]int{"reject/pre-create": 0, "reject/pre-finish": 1} {
		answer, informed := c.send("POST", s.URL(""), strings.NewReader("abcde"), c.completeness(true), "Content-Type: "+typ)
		demand(t, answer, 422)
		c.wantFields(typ, answer.Header, "X-Why: because", c.completeness(true))
		if len(informed) != announced || string(answer.Body) != "no" {
			t.Errorf("%s: %v, %s", typ, informed, answer.Body)
		}
	}
	url := c.create("ab", false)
	down.Store(true)
	answer, _ := c.send("POST", s.URL(""), strings.NewReader("abcde"), c.completeness(true))
	demand(t, answer, 503)
	wantLater(t, answer)
	// The task would end with a 503: the client of an announced upload resumes after a break.
	if answer, _, err := c.try(t.Context(), "PATCH", url, strings.NewReader("cde"), c.appendFields(2, true)...); err == nil {
		t.Errorf("status %d", answer.Status)
	}
	down.Store(false)
	c.wantState("HEAD", c.state(url), 5, true)
	demand(t, c.append(url, 5, "", true), 201)
	c.wantContent(url, "abcde")
}

// Clients that stall, and a shutdown: an announced client finds a broken connection.
func TestIETFAnnouncedClientsAreCutOff(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"stalled": {"--idle-timeout", "1s"}, "shutdown": {"--shutdown-timeout", "4s"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, args...)
			c := six(t, s)
			w, url := c.begin("ab", "it")
			c.reaches(url, 2)
			if name == "shutdown" {
				if err := s.Terminate(wireWait); err != nil {
					t.Error(err)
				}
				restart(t, s)
			}
			w.wantEnd()
			state := c.state(url)
			c.wantState("HEAD", state, 2, false)
			demand(t, c.append(url, 2, "cde", true), 201)
		})
	}
}

// wantEnd demands that the connection ends without an answer.
func (w *wire) wantEnd() {
	w.t.Helper()
	if resp, err := http.ReadResponse(w.in, nil); err == nil {
		w.t.Errorf("status %d", resp.StatusCode)
	}
}

// Over TLS and without, by HTTP/1.1 and HTTP/2, a creation is announced before its content.
func TestIETFCreationIsAnnouncedByEveryHTTP(t *testing.T) {
	t.Parallel()
	cert, key, roots := selfSigned(t)
	plain, secure := start(t), start(t, "--tls-cert", cert, "--tls-key", key)
	for major, set := range map[int]func(*http.Protocols){
		1: func(p *http.Protocols) { p.SetHTTP1(true) },
		2: func(p *http.Protocols) { p.SetHTTP2(true); p.SetUnencryptedHTTP2(true) },
	} {
		for _, url := range []string{"http://" + plain.Addr + "/files/", "https://" + secure.Addr + "/files/"} {
			client := overTLS(t, roots)
			transport := client.Transport.(*http.Transport)
			transport.Protocols, transport.ForceAttemptHTTP2 = new(http.Protocols), false
			set(transport.Protocols)
			if location := contentAfterAnnouncement(t, client, url, major); !strings.HasPrefix(location, url) {
				t.Errorf("HTTP/%d %s: Location: %q", major, url, location)
			}
		}
	}
}

// contentAfterAnnouncement creates an upload whose content is sent after the 104 only, and
// returns the URL in that.
func contentAfterAnnouncement(t *testing.T, client *http.Client, url string, major int) string {
	t.Helper()
	content, send := io.Pipe()
	location := ""
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		location = h.Get("Location")
		go func() {
			_, _ = io.WriteString(send, "abcde")
			send.Close()
		}()
		return nil
	}}
	req := request(t, http.MethodPost, url, content, ietfSix, "Upload-Complete: ?1")
	req.ContentLength = 5
	resp, err := client.Do(req.WithContext(httptrace.WithClientTrace(t.Context(), trace)))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := ReadAnswer(resp)
	if err != nil || answer.Status != http.StatusCreated || resp.ProtoMajor != major {
		t.Errorf("%s, status %d, %v", resp.Proto, answer.Status, err)
	}
	return location
}

// Behind a proxy that can't pass interim responses all else works. No client then knows that
// it may resume, so that a temporary error is a response.
func TestIETFWorksWithoutInterimResponses(t *testing.T) {
	t.Parallel()
	s := start(t, "--no-interim-responses", "--idle-timeout", "1s")
	for _, v := range ietfVersions {
		c := &ietfClient{t, v, s, http.DefaultClient}
		answer, informed := c.send("POST", s.URL(""), strings.NewReader("ab"), c.completeness(false))
		demand(t, answer, 201)
		c.wantState("creation", answer, 2, false)
		if len(informed) > 0 {
			t.Errorf("%s: %v", v, informed)
		}
		demand(t, c.append(answer.Header.Get("Location"), 2, "cde", true), 201)
		c.wantContent(answer.Header.Get("Location"), "abcde")
	}
	w := dial(t, s.Addr)
	w.send("PUT /files/it HTTP/1.1", "Host: "+s.Addr, ietfSix, "Upload-Complete: ?1", "Content-Length: 5")
	w.write("ab")
	demand(t, w.answer(), 503)
}
