package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/problem"
)

// serveBody starts a server whose handler reads each body to its end, and returns its
// address and the error that ended each body.
func serveBody(t *testing.T, idle time.Duration, shutdown *Shutdown, started chan<- struct{}) (addr string, ended <-chan error) {
	t.Helper()
	ends := make(chan error, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := NewBody(w, r, idle, shutdown, nil)
		defer body.Close()
		if started != nil {
			started <- struct{}{}
		}
		_, err := io.Copy(io.Discard, body)
		ends <- errors.Join(err, ignoreEOF(body.Err()))
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String(), ends
}

func ignoreEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

func dial(t *testing.T, addr, head string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestAnIdleClientTimesOutButASlowOneDoesNot(t *testing.T) {
	t.Parallel()
	const idle = 4 * time.Second
	addr, ended := serveBody(t, idle, NewShutdown(), nil)
	conn := dial(t, addr, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n")
	for range 8 { // longer than idle in all
		time.Sleep(idle / 4)
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-ended:
		t.Fatalf("a slow client timed out: %v", err)
	default:
	}
	if err := <-ended; !errors.Is(err, problem.ErrIdleTimeout) {
		t.Errorf("an idle client ended with %v, want problem.ErrIdleTimeout", err)
	}
}

func TestShutdownAbortsAWaitingRead(t *testing.T) {
	shutdown, started := NewShutdown(), make(chan struct{}, 1)
	addr, ended := serveBody(t, time.Minute, shutdown, started)
	dial(t, addr, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\nabc")
	<-started
	shutdown.Begin()
	if err := <-ended; !errors.Is(err, problem.ErrShuttingDown) {
		t.Errorf("the body ended with %v, want problem.ErrShuttingDown", err)
	}
}

func TestDrainIsBoundedAndDoesNotSend100Continue(t *testing.T) {
	for _, c := range []struct {
		name   string
		length int64
		expect string
		want   bool
		read   int64
	}{
		{"a chunk", 1 << 20, "", true, 1 << 20},
		{"more than DrainLimit", DrainLimit + 1, "", false, 0},
		{"a client that waits for 100-continue", 1 << 20, "100-continue", false, 0},
	} {
		src := &countingReader{left: c.length}
		r := httptest.NewRequest("PUT", "/", src)
		r.ContentLength = c.length
		if c.expect != "" {
			r.Header.Set("Expect", c.expect)
		}
		body := NewBody(httptest.NewRecorder(), r, time.Second, NewShutdown(), nil)
		if got := body.Drain(r); got != c.want || src.read != c.read {
			t.Errorf("%s: %v after %d bytes, want %v after %d", c.name, got, src.read, c.want, c.read)
		}
		body.Close()
	}
}

type countingReader struct{ left, read int64 }

func (c *countingReader) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), c.left)
	c.left -= n
	c.read += n
	return int(n), nil
}

func TestSpoolReturnsWhatWasWritten(t *testing.T) {
	for _, size := range []int{0, 1, spoolMemory - 1, spoolMemory, spoolMemory + 1, 3*spoolMemory + 7} {
		want := []byte(strings.Repeat("holdfast", size/8+1)[:size])
		var s Spool
		if err := s.Fill(bytes.NewReader(want)); err != nil {
			t.Fatal(err)
		}
		var hashed bytes.Buffer
		if err := s.Hash(&hashed); err != nil || !bytes.Equal(hashed.Bytes(), want) {
			t.Errorf("%d bytes: Hash wrote %d, %v", size, hashed.Len(), err)
		}
		r, err := s.Reader()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) || s.Size() != int64(size) {
			t.Errorf("%d bytes: Reader returned %d, %v", size, len(got), err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A handler may wait, for example for a lock, for longer than the idle timeout.
func TestLimitUnreadBodyDoesNotLimitABodyThatIsReadLater(t *testing.T) {
	const idle = 50 * time.Millisecond
	for _, major := range []int{1, 2} {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer LimitUnreadBody(w, r, idle)()
			time.Sleep(4 * idle)
			body := NewBody(w, r, time.Minute, NewShutdown(), nil)
			defer body.Close()
			if n, err := io.Copy(io.Discard, body); n != 8<<20 || err != nil || r.ProtoMajor != major {
				t.Errorf("HTTP/%d: %d bytes, %v", r.ProtoMajor, n, err)
			}
		}))
		srv.EnableHTTP2 = major == 2
		srv.StartTLS()
		t.Cleanup(srv.Close)
		resp, err := srv.Client().Post(srv.URL, "text/plain", bytes.NewReader(make([]byte, 8<<20)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
}
