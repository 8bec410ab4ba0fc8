package test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"
)

// requestLine is the line of the log of a request.
type requestLine struct {
	Msg, ID, Protocol, Method, Path, Range, Offset, Outcome string
	ErrorCode                                               string `json:"error_code"`
	RemoteAddr                                              string `json:"remote_addr"`
	BytesIn                                                 int64  `json:"bytes_in"`
	BytesOut                                                int64  `json:"bytes_out"`
	LockWait                                                int64  `json:"lock_wait"`
	Duration                                                int64
	Status                                                  int
}

// requestLines are those of the log so far.
func requestLines(s *Server) (lines []requestLine) {
	for line := range strings.Lines(s.Log()) {
		var l requestLine
		if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "request" {
			lines = append(lines, l)
		}
	}
	return lines
}

// nextLine waits for the line of the request after the first n, and demands that
// there is just one.
func nextLine(t *testing.T, s *Server, n int) requestLine {
	t.Helper()
	eventually(t, 30*time.Second, "the request is in the log", func() bool { return len(requestLines(s)) > n })
	lines := requestLines(s)
	if len(lines) != n+1 {
		t.Fatalf("%d lines for one request: %+v", len(lines)-n, lines[n:])
	}
	return lines[n]
}

func TestEachRequestIsOneLineThatSaysWhatCameOfIt(t *testing.T) {
	t.Parallel()
	s := start(t)
	found := 0
	wantLine := func(want requestLine) {
		t.Helper()
		got := nextLine(t, s, found)
		found++
		if got.Duration <= 0 || got.Duration > int64(time.Minute) || got.LockWait < 0 || got.LockWait > got.Duration {
			t.Errorf("took %d ns, waited %d", got.Duration, got.LockWait)
		}
		if _, _, err := net.SplitHostPort(got.RemoteAddr); err != nil {
			t.Errorf("the client is %q", got.RemoteAddr)
		}
		if want.BytesOut == 0 {
			got.BytesOut = 0
		}
		got.Msg, got.Duration, got.LockWait, got.RemoteAddr = "", 0, 0, ""
		if got != want {
			t.Errorf("the line is\n%+v, want\n%+v", got, want)
		}
	}

	url := createTus(t, s, 2000)
	id := path.Base(url)
	wantLine(requestLine{ID: id, Protocol: "tus", Method: "POST", Path: "/files/", Status: 201, Outcome: "created"})
	patchAtTus(t, url, strings.NewReader(strings.Repeat("a", 500)), 0)
	wantLine(requestLine{ID: id, Protocol: "tus", Method: "PATCH", Path: "/files/" + id, Offset: "0", BytesIn: 500, Status: 204, Outcome: "stored"})
	putAs(t, url, strings.Repeat("b", 500), "bytes 1500-1999/2000", http.StatusAccepted)
	wantLine(requestLine{ID: id, Protocol: "content-range", Method: "PUT", Path: "/files/" + id, Range: "bytes 1500-1999/2000", BytesIn: 500, Status: 202, Outcome: "stored"})
	putAs(t, url, "x", "bytes 0-0/2001", http.StatusBadRequest)
	wantLine(requestLine{ID: id, Protocol: "content-range", Method: "PUT", Path: "/files/" + id, Range: "bytes 0-0/2001", BytesIn: 1, Status: 400, Outcome: "refused", ErrorCode: "sizeConflict"})
	patchAtTus(t, url, strings.NewReader(strings.Repeat("c", 1000)), 500)
	wantLine(requestLine{ID: id, Protocol: "tus", Method: "PATCH", Path: "/files/" + id, Offset: "500", BytesIn: 1000, Status: 204, Outcome: "finished"})
	ask(t, http.MethodGet, url, nil, []string{"Range: bytes=0-99"}, http.StatusPartialContent)
	wantLine(requestLine{ID: id, Protocol: "content-range", Method: "GET", Path: "/files/" + id, Range: "bytes=0-99", BytesOut: 100, Status: 206, Outcome: "served"})
	ask(t, http.MethodDelete, url, nil, nil, http.StatusNoContent)
	wantLine(requestLine{ID: id, Protocol: "content-range", Method: "DELETE", Path: "/files/" + id, Status: 204, Outcome: "deleted"})
	ask(t, http.MethodOptions, s.URL(""), nil, nil, http.StatusOK)
	wantLine(requestLine{Method: "OPTIONS", Path: "/files/", Status: 200, Outcome: "answered"})
	ask(t, http.MethodGet, s.URL("not/an/id"), nil, nil, http.StatusBadRequest)
	wantLine(requestLine{Protocol: "content-range", Method: "GET", Path: "/files/not/an/id", Status: 400, Outcome: "refused", ErrorCode: "invalidId"})
	ask(t, http.MethodPost, s.URL(""), nil, []string{"Tus-Resumable: 1.0.0", "Upload-Length: 9", "X-HTTP-Method-Override: PATCH"}, 404, 405, 415)
	if line := nextLine(t, s, found); line.Method != "PATCH" || line.Outcome != "refused" {
		t.Errorf("the line of an overridden method is %+v", line)
	}
}

func TestRequestThatBreaksOffIsSaidToHave(t *testing.T) {
	t.Parallel()
	for protocol, head := range map[string]string{
		"tus":           "PATCH %s HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: 1000\r\n\r\n",
		"content-range": "PUT %s HTTP/1.1\r\nHost: h\r\nContent-Range: bytes 0-999/2000\r\nContent-Length: 1000\r\n\r\n",
	} {
		t.Run(protocol, func(t *testing.T) {
			s := start(t)
			url := createTus(t, s, 2000)
			conn, err := net.Dial("tcp", s.Addr)
			if err != nil {
				t.Fatal(err)
			}
			head := strings.Replace(head, "%s", "/files/"+path.Base(url), 1)
			if _, err := io.WriteString(conn, head+strings.Repeat("x", 300)); err != nil {
				t.Fatal(err)
			}
			conn.Close()
			line := nextLine(t, s, 1)
			if line.Outcome != "aborted" || line.BytesIn != 300 || line.Protocol != protocol || line.ID != path.Base(url) {
				t.Errorf("the line is %+v", line)
			}
		})
	}
}

// secrets are what a client may send that only the server should see.
var secrets = []string{"Authorization: Bearer s3cret-bearer", "Cookie: session=s3cret-cookie", "X-Upload-Ticket: s3cret-header"}

func TestSecretsOfARequestAreNowhereInTheLog(t *testing.T) {
	t.Parallel()
	s := start(t, "--log-level", "debug")
	query := "?ticket=s3cret-query&token=s3cret-token"
	created := ask(t, http.MethodPost, s.URL("")+query, nil, append(secrets, "Tus-Resumable: 1.0.0", "Upload-Length: 10", "Upload-Metadata: note czNjcmV0LW1ldGE="), http.StatusCreated)
	url := created.Header.Get("Location")
	patchAtTus(t, url+query, strings.NewReader("0123456789"), 0, secrets...)
	ask(t, http.MethodGet, url+query, nil, secrets, http.StatusOK)
	ask(t, http.MethodGet, s.URL("never-was")+query, nil, secrets, http.StatusNotFound)
	ask(t, http.MethodPut, s.URL("bad")+query, strings.NewReader("x"), append(secrets, "Content-Range: bytes 5-1/s3cret"), http.StatusBadRequest)
	ask(t, "BREW", s.URL("bad")+query, nil, secrets, http.StatusMethodNotAllowed, http.StatusPreconditionFailed)
	nextLine(t, s, 5)
	log := strings.ReplaceAll(s.Log(), "bytes 5-1/s3cret", "") // a header that is named
	for _, secret := range []string{"s3cret", "czNjcmV0"} {
		if i := strings.Index(log, secret); i >= 0 {
			t.Errorf("the log holds a secret: %s", log[max(0, i-200):min(len(log), i+50)])
		}
	}
}
