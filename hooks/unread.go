package hooks

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// How much of a refused body is read. A client that still sends when the answer comes may
// see nothing but a connection reset, and try again for ever; but nobody should have to
// send all of a body in vain.
const (
	// restBytes and restTime bound what is read before the answer, so that the connection
	// can serve the next request.
	restBytes = 256 << 10
	restTime  = time.Second
	// lingerBytes and lingerTime bound what is read after an answer that ends the
	// connection.
	lingerBytes = 512 << 10
	lingerTime  = 2 * time.Second
)

// Hurry bounds what is read of bodies that no handler reads. Each request has idle time to
// send such a body: in HTTP/1, net/http reads some of it before it answers, for which it
// would wait without end. A Body gives its request more time as bytes come. After an
// answer that ends the connection, see LeaveBody, the client gets some time to take it.
func LimitUnreadBody(idle time.Duration, next http.Handler) http.Handler {
	return limitUnread(idle, lingerTime, next)
}

func limitUnread(idle, linger time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 || r.ContentLength == 0 {
			next.ServeHTTP(w, r)
			return
		}
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(idle))
		body := r.Body
		next.ServeHTTP(w, r)
		if w.Header().Get("Connection") == "close" {
			lingerFor(linger, w, body)
		}
	})
}

// lingerFor keeps an answered connection open until the client ends it or is silent, at
// most for the given time: one that is closed while bytes of the client are unread is
// reset, and then the client may lose the answer. Up to lingerBytes are read meanwhile;
// after that TCP has the client wait.
func lingerFor(d time.Duration, w http.ResponseWriter, body io.Reader) {
	ctl, until := http.NewResponseController(w), time.Now().Add(d)
	if ctl.Flush() != nil {
		return
	}
	block := make([]byte, 32<<10)
	for left := lingerBytes; left > 0; {
		silent := time.Now().Add(d / 4)
		if silent.After(until) {
			silent = until
		}
		_ = ctl.SetReadDeadline(silent)
		n, err := body.Read(block[:min(left, len(block))])
		left -= n
		if errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(silent) {
			break // a chunked body can't be read further once a deadline has passed in it
		}
		if err != nil {
			return
		}
	}
	time.Sleep(time.Until(until))
}

// DrainOrClose makes way for an answer that refuses the body. Call it before the answer. If
// little is left of a body of known length and comes soon, that is read. Otherwise the
// connection ends after the answer, as by LeaveBody.
func (b *Body) DrainOrClose(w http.ResponseWriter, r *http.Request) {
	if !b.drainRest(r) {
		RejectBody(w, r)
	}
}

// drainRest reads a short rest of the body, and reports whether the body has ended
// properly.
func (b *Body) drainRest(r *http.Request) bool {
	waits := !b.started && r.Header.Get("Expect") != ""
	if err := b.Err(); err != nil || waits || b.length < 0 || b.length-b.n > restBytes {
		return err == io.EOF
	}
	_ = b.ctl.SetReadDeadline(time.Now().Add(restTime))
	_, err := io.Copy(io.Discard, b.src)
	return err == nil
}

// LeaveBody has an answer that does not go by the body sent at once: nothing of the body is
// read before, and the connection ends after it. A client that waits for leave to send
// (Expect: 100-continue) is not given it. Call it before the answer, and give that a
// Content-Length, or its end comes only when the connection has ended; see Hurry.
func RejectBody(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 && r.ContentLength != 0 { // in HTTP/2 just the one stream ends
		w.Header().Set("Connection", "close")
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) // or net/http reads some of it
	}
}
