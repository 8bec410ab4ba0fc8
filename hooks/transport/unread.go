package transport

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// How much of a rejected body is read. A client that is still sending when the response
// comes may see only a connection reset, and retry for ever; but it should not have to
// send all of a body that is rejected.
const (
	// restBytes and restTime bound what is read before the response, to keep the
	// connection usable for the next request.
	restBytes = 256 << 10
	restTime  = time.Second
	// lingerBytes and lingerTime bound what is read after a response that closes the
	// connection.
	lingerBytes = 512 << 10
	lingerTime  = 2 * time.Second
)

// LimitUnreadBody bounds what is read of the body of r if no handler reads it. It sets a
// read deadline of idle: HTTP/1 servers of net/http read some of such a body before they
// respond, and would wait for it without end. A Body extends the deadline as bytes arrive.
//
// Call the returned function after the response. If that closes the connection (see
// RejectBody), the connection lingers so that the client can read it.
func LimitUnreadBody(w http.ResponseWriter, r *http.Request, idle time.Duration) (linger func()) {
	return limitUnread(w, r, idle, lingerTime)
}

func limitUnread(w http.ResponseWriter, r *http.Request, idle, linger time.Duration) func() {
	if r.ProtoMajor != 1 || r.ContentLength == 0 {
		return func() {}
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(idle))
	body := r.Body
	return func() {
		if w.Header().Get("Connection") == "close" {
			lingerFor(linger, w, body)
		}
	}
}

// lingerFor keeps the connection open after the response until the client closes it or
// stops sending, for at most d: closing it while bytes are unread would reset it, and the
// client might lose the response. Up to lingerBytes are read meanwhile; after that, TCP
// flow control stops the client.
func lingerFor(d time.Duration, w http.ResponseWriter, body io.Reader) {
	ctl, until := http.NewResponseController(w), time.Now().Add(d)
	if ctl.Flush() != nil {
		return
	}
	block := make([]byte, 32<<10)
	for left := lingerBytes; left > 0; {
		deadline := time.Now().Add(d / 4)
		if deadline.After(until) {
			deadline = until
		}
		_ = ctl.SetReadDeadline(deadline)
		n, err := body.Read(block[:min(left, len(block))])
		left -= n
		if errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(deadline) {
			break // a chunked body can't be read any more after a missed deadline
		}
		if err != nil {
			return
		}
	}
	time.Sleep(time.Until(until))
}

// DrainOrClose prepares for a response that rejects the body. Call it before the response.
// It reads the rest of a body of known length if that is short and arrives soon.
// Otherwise the connection is closed after the response, as by RejectBody.
func (b *Body) DrainOrClose(w http.ResponseWriter, r *http.Request) {
	if !b.drainRest(r) {
		RejectBody(w, r)
	}
}

// drainRest reads the rest of the body if it is short, and reports whether the body is
// complete.
func (b *Body) drainRest(r *http.Request) bool {
	expectsContinue := !b.started && r.Header.Get("Expect") != ""
	if err := b.Err(); err != nil || expectsContinue || b.length < 0 || b.length-b.n > restBytes {
		return err == io.EOF
	}
	_ = b.ctl.SetReadDeadline(time.Now().Add(restTime))
	_, err := io.Copy(io.Discard, receiver{b})
	return err == nil
}

// receiver reads from the connection, whatever has ended the body.
type receiver struct{ *Body }

func (r receiver) Read(p []byte) (int, error) { return r.receive(p) }

// RejectBody prepares for a response that is sent without reading the body, after which
// the connection is closed. A client that expects 100-continue does not get it. Call it
// before the response, and set a Content-Length: without one the response ends only when
// the connection is closed, see LimitUnreadBody.
func RejectBody(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 && r.ContentLength != 0 { // HTTP/2 resets only the stream
		w.Header().Set("Connection", "close")
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) // or net/http would read some of it
	}
}
