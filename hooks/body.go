package hooks

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

var (
	// ErrStopping: the server is shutting down and cut the body off.
	ErrShuttingDown = errors.New("the server is shutting down")
	// ErrIdle: the client sent nothing for too long.
	ErrIdleTimeout = errors.New("the client fell silent")
	// ErrReplaced: the client's next request took this one's place.
	ErrSuperseded = errors.New("another request has taken over")
)

// Stopper cuts off all bodies that are being read when the server has to leave.
type Shutdown struct {
	ctx    context.Context
	cancel context.CancelFunc
}

// NewStopper returns a Stopper that has not stopped anything yet.
func NewShutdown() *Shutdown {
	ctx, cancel := context.WithCancel(context.Background())
	return &Shutdown{ctx, cancel}
}

// Stop makes every Body end with ErrStopping, now and from now on. What has
// arrived is stored, and the client told to come back.
func (s *Shutdown) Begin() { s.cancel() }

// Body reads the body of a request. It ends with ErrIdle once no byte has come
// for the given time, however long the whole takes, and with ErrStopping once
// the Stopper says so. It remembers the error that ended it.
type Body struct {
	src        io.ReadCloser
	ctl        *http.ResponseController
	idle       time.Duration
	unregister func() bool
	length     int64 // as announced, -1 if it was not
	started    bool  // somebody has read, and so let the client send
	n          int64 // bytes read

	toVerify  *verification // nil if there is nothing to verify
	malformed error         // see CheckHeader

	mu          sync.Mutex
	deadlineSet time.Time // when the deadline was last set
	err         error
}

// NewBody returns a reader of r's body. Close it when done.
func NewBody(w http.ResponseWriter, r *http.Request, idle time.Duration, stopper *Shutdown) *Body {
	b := &Body{src: r.Body, length: r.ContentLength, ctl: http.NewResponseController(w), idle: idle}
	if b.length == 0 {
		b.err = io.EOF // there is nothing that could be cut off
	}
	b.unregister = context.AfterFunc(stopper.ctx, func() { b.Abort(ErrShuttingDown) })
	if b.toVerify, b.malformed = newVerification(r); b.toVerify != nil {
		*r = *r.WithContext(context.WithValue(r.Context(), bodyKey{}, b)) // for AdmitVerified
	}
	return b
}

// Read implements io.Reader. Of a body for which the client gave digests it yields nothing
// before all of it has come and was verified.
func (b *Body) Read(p []byte) (int, error) {
	if b.toVerify != nil {
		return b.readVerified(p)
	}
	return b.read(p)
}

func (b *Body) read(p []byte) (int, error) {
	b.started = true
	if err := b.extendDeadline(); err != nil {
		return 0, err
	}
	n, err := b.src.Read(p)
	b.n += int64(n)
	if err == nil {
		return n, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.err != nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.err = ErrIdleTimeout
	default:
		b.err = err
	}
	if err == io.EOF {
		// Storing the last bytes may take longer than a client may be silent.
		_ = b.ctl.SetReadDeadline(time.Time{})
	}
	return n, b.err
}

// Expect implements storage.Expecting.
func (b *Body) Length() int64 { return b.length }

// Close lets go of the Stopper, and has a Cut that comes later change nothing: the
// connection may serve the next request by then. It leaves the body itself to the server, which
// knows whether the client has been allowed to send it: to close it here would be
// to wait for bytes that may never come, with the answer not sent yet.
func (b *Body) Close() error {
	b.unregister()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = errClosed
	}
	if b.toVerify != nil {
		return b.toVerify.spool.Close()
	}
	return nil
}

// Err is the error that ended the body: nil while it lasts, io.EOF for a proper end.
func (b *Body) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// arm gives the next read its time. Setting a deadline has a price, so it is done
// only when a tenth of the last one has passed.
func (b *Body) extendDeadline() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	now := time.Now()
	if now.Sub(b.deadlineSet) > b.idle/10 {
		b.deadlineSet = now
		_ = b.ctl.SetReadDeadline(now.Add(b.idle + b.idle/10))
	}
	return nil
}

// Cut makes the body end with err, unless it has ended already.
func (b *Body) Abort(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
		b.interrupt()
	}
}

// wake ends a read that waits, and every later one.
func (b *Body) interrupt() { _ = b.ctl.SetReadDeadline(time.Unix(1, 0)) }

var errClosed = errors.New("the body is closed")

// DrainLimit is how many bytes of an unread body are read and dropped before it is
// answered as received: somewhat more than the largest chunk that phones send.
const DrainLimit = 64 << 20

// Drain reads what is left of the body before it is answered as received, within
// DrainLimit: a client that is still sending when the answer comes may see nothing but a
// connection reset, and try again for ever. A client that waits for permission
// to send (Expect: 100-continue) is left waiting, and gets the answer instead. For an
// answer that refuses the body see DrainOrClose.
//
// It tells whether the body has ended properly.
func (b *Body) Drain(r *http.Request) bool {
	if r.ContentLength == 0 {
		return true
	}
	if !b.started && r.Header.Get("Expect") != "" || r.ContentLength > DrainLimit {
		return false
	}
	n, err := io.Copy(io.Discard, io.LimitReader(bodyReader{b}, DrainLimit+1))
	if errors.Is(err, ErrIdleTimeout) || errors.Is(err, ErrShuttingDown) || errors.Is(err, ErrSuperseded) {
		b.interrupt() // tusd sets a deadline even so, and net/http would wait until then
	}
	return err == nil && n <= DrainLimit
}
