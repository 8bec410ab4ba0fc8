package test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// wire is a bare connection to a server, for what net/http does not send.
type wire struct {
	t    *testing.T
	conn *net.TCPConn
	in   *bufio.Reader
}

// dial connects to a server. The connection ends with the test, and fails it if
// the server sends nothing for long.
func dial(t *testing.T, addr string) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return &wire{t, conn.(*net.TCPConn), bufio.NewReader(conn)}
}

// send sends lines of a request head; each is ended by CR LF, the last by two.
func (w *wire) send(lines ...string) {
	w.t.Helper()
	w.write(strings.Join(lines, "\r\n") + "\r\n\r\n")
}

// write sends text as it is.
func (w *wire) write(text string) {
	w.t.Helper()
	if _, err := io.WriteString(w.conn, text); err != nil {
		w.t.Fatal(err)
	}
}

// end says that nothing more will come, but stays for the answer.
func (w *wire) end() { _ = w.conn.CloseWrite() }

// reset breaks the connection as a lost network does.
func (w *wire) reset() { breakOff(w.conn, true) }

// answer reads one answer, informational ones included.
func (w *wire) answer() Answer {
	w.t.Helper()
	resp, err := http.ReadResponse(w.in, nil)
	if err != nil {
		w.t.Fatalf("no answer: %v", err)
	}
	if resp.StatusCode < 200 {
		return Answer{Status: resp.StatusCode, Header: resp.Header}
	}
	a, err := ReadAnswer(resp)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}
