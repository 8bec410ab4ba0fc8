package transport

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/problem"
)

// serveRejections starts a server that reads one byte of each body and rejects it. It
// returns its address and the number of bytes read from bodies.
func serveRejections(t *testing.T, linger time.Duration) (addr string, read *atomic.Int64) {
	t.Helper()
	read = new(atomic.Int64)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = countedBody{r.Body, read}
		defer limitUnread(w, r, time.Minute, linger)()
		body := NewBody(w, r, time.Minute, NewShutdown(), nil)
		defer body.Close()
		_, _ = body.Read(make([]byte, 1))
		body.DrainOrClose(w, r)
		http.Error(w, "rejected", http.StatusConflict)
	}))
	t.Cleanup(srv.CloseClientConnections)
	return srv.Listener.Addr().String(), read
}

type countedBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c countedBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

const (
	sized   = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"
	chunked = "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3b9aca00\r\n"
)

func readResponse(t *testing.T, conn net.Conn) (*bufio.Reader, *http.Response) {
	t.Helper()
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatalf("no response: %v", err)
	}
	return in, resp
}

// This holds even for a client that ignores the response and keeps sending.
func TestF20LittleOfARejectedBodyIsRead(t *testing.T) {
	t.Parallel()
	for _, head := range []string{sized, chunked} {
		addr, read := serveRejections(t, lingerTime)
		conn := dial(t, addr, head)
		go func() {
			block := make([]byte, 64<<10)
			for {
				if _, err := conn.Write(block); err != nil {
					return
				}
			}
		}()
		in, resp := readResponse(t, conn)
		if resp.StatusCode != http.StatusConflict || !resp.Close {
			t.Errorf("status %d, close %v", resp.StatusCode, resp.Close)
		}
		_, _ = io.Copy(io.Discard, in) // until the connection is closed
		const limit = restBytes + lingerBytes + 64<<10
		if n := read.Load(); n > limit {
			t.Errorf("%.60q: %d bytes of the body were read, want at most %d", head, n, limit)
		}
	}
}

func TestF20TheConnectionIsNotResetWhileTheClientIsSending(t *testing.T) {
	t.Parallel()
	for _, head := range []string{sized, chunked} {
		addr, _ := serveRejections(t, time.Minute)
		conn := dial(t, addr, head)
		if _, err := conn.Write(make([]byte, 100<<10)); err != nil {
			t.Fatal(err)
		}
		in, resp := readResponse(t, conn)
		if resp.StatusCode != http.StatusConflict {
			t.Errorf("status %d", resp.StatusCode)
		}
		for range 3 {
			if _, err := conn.Write(make([]byte, 100<<10)); err != nil {
				t.Errorf("%.60q: write after the response: %v", head, err)
			}
		}
		_ = conn.(*net.TCPConn).CloseWrite()
		if _, err := io.Copy(io.Discard, in); err != nil {
			t.Errorf("%.60q: end of the connection: %v", head, err)
		}
	}
}

func TestTheConnectionIsReusedAfterAShortRejectedBody(t *testing.T) {
	t.Parallel()
	addr, _ := serveRejections(t, time.Minute)
	body := strings.Repeat("x", restBytes)
	conn := dial(t, addr, "")
	in := bufio.NewReader(conn)
	for range 3 {
		if _, err := fmt.Fprintf(conn, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.Close {
			t.Fatalf("%v, close %v", err, resp.Close)
		}
	}
}

// Aborting a request that has ended, or has no body, would break the connection or the
// next request on it.
func TestAbortAfterTheEndOfTheBodyDoesNothing(t *testing.T) {
	t.Parallel()
	for _, length := range []int{0, 3} {
		deadlines := &deadlineRecorder{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest("PUT", "/", strings.NewReader(strings.Repeat("x", length)))
		body := NewBody(deadlines, r, time.Minute, NewShutdown(), nil)
		if length > 0 {
			body.Close()
		}
		body.Abort(problem.ErrSuperseded)
		if deadlines.set > 0 {
			t.Errorf("a body of %d bytes: a deadline was set", length)
		}
	}
}

type deadlineRecorder struct {
	*httptest.ResponseRecorder
	set int
}

func (d *deadlineRecorder) SetReadDeadline(time.Time) error {
	d.set++
	return nil
}

// A request whose body has no meaning is served, although the body does not come.
func TestABodyThatIsIgnoredDoesNotCancelItsRequest(t *testing.T) {
	type contexts struct{ given, served error }
	ended := make(chan contexts, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := NewBody(w, r, 100*time.Millisecond, NewShutdown(), nil)
		defer body.Close()
		serve := body.Ignore(r)
		<-r.Context().Done()
		ended <- contexts{r.Context().Err(), serve.Context().Err()}
	}))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
	if got := <-ended; got.given == nil || got.served != nil {
		t.Errorf("the contexts ended with %v and %v, want an error and none", got.given, got.served)
	}
}
