package hooks

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
)

// serveRefusals starts a server that reads a byte of each body and refuses it. It returns
// its address, and the number of bytes that were read of bodies.
func serveRefusals(t *testing.T, linger time.Duration) (addr string, read *atomic.Int64) {
	t.Helper()
	read = new(atomic.Int64)
	refuse := limitUnread(time.Minute, linger, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := NewBody(w, r, time.Minute, NewShutdown())
		defer body.Close()
		_, _ = body.Read(make([]byte, 1))
		body.DrainOrClose(w, r)
		http.Error(w, "refused", http.StatusConflict)
	}))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = countedBody{r.Body, read}
		refuse.ServeHTTP(w, r)
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

func answerOn(t *testing.T, conn net.Conn) (*bufio.Reader, *http.Response) {
	t.Helper()
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return in, resp
}

// A client that sends on whatever it is answered gets rid of little.
func TestF20OfARefusedBodyLittleIsRead(t *testing.T) {
	t.Parallel()
	for _, head := range []string{sized, chunked} {
		addr, read := serveRefusals(t, lingerTime)
		conn := dial(t, addr, head)
		go func() {
			block := make([]byte, 64<<10)
			for {
				if _, err := conn.Write(block); err != nil {
					return
				}
			}
		}()
		in, resp := answerOn(t, conn)
		if resp.StatusCode != http.StatusConflict || !resp.Close {
			t.Errorf("status %d, close %v", resp.StatusCode, resp.Close)
		}
		_, _ = io.Copy(io.Discard, in) // until the connection ends
		const most = restBytes + lingerBytes + 64<<10
		if n := read.Load(); n > most {
			t.Errorf("%.60q: %d bytes of the body were read, at most %d should be", head, n, most)
		}
	}
}

// A client that still sends when the answer comes, as on a slow line, is not reset.
func TestF20AConnectionIsNotResetWhileTheClientMayStillSend(t *testing.T) {
	t.Parallel()
	for _, head := range []string{sized, chunked} {
		addr, _ := serveRefusals(t, time.Minute)
		conn := dial(t, addr, head)
		if _, err := conn.Write(make([]byte, 100<<10)); err != nil {
			t.Fatal(err)
		}
		in, resp := answerOn(t, conn)
		if resp.StatusCode != http.StatusConflict {
			t.Errorf("status %d", resp.StatusCode)
		}
		for range 3 {
			if _, err := conn.Write(make([]byte, 100<<10)); err != nil {
				t.Errorf("%.60q: after the answer: %v", head, err)
			}
		}
		_ = conn.(*net.TCPConn).CloseWrite()
		if _, err := io.Copy(io.Discard, in); err != nil {
			t.Errorf("%.60q: the end of the connection: %v", head, err)
		}
	}
}

func TestAConnectionOutlivesAShortRefusedBody(t *testing.T) {
	t.Parallel()
	addr, _ := serveRefusals(t, time.Minute)
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

// A request that is asked to let go when it has ended, or that has no body, is left alone:
// to cut it off would be to break the connection, or the next request on it.
func TestNothingIsCutOffAfterTheBodyHasEnded(t *testing.T) {
	t.Parallel()
	for _, length := range []int{0, 3} {
		deadlines := &deadlineRecorder{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest("PUT", "/", strings.NewReader(strings.Repeat("x", length)))
		body := NewBody(deadlines, r, time.Minute, NewShutdown())
		if length > 0 {
			body.Close()
		}
		body.Abort(ErrSuperseded)
		if deadlines.set > 0 {
			t.Errorf("a body of %d bytes: the connection was cut off", length)
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
