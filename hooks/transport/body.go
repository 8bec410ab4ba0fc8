package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/problem"
)

// Shutdown aborts all bodies that are being read when the server shuts down.
type Shutdown struct {
	ctx    context.Context
	cancel context.CancelFunc
}

// NewShutdown returns a Shutdown that has not begun.
func NewShutdown() *Shutdown {
	ctx, cancel := context.WithCancel(context.Background())
	return &Shutdown{ctx, cancel}
}

// Begin aborts every current and future Body with problem.ErrShuttingDown. Bytes that have
// arrived are stored, and the client is asked to retry.
func (s *Shutdown) Begin() { s.cancel() }

// Quota bounds how many bytes of a body may be read.
type Quota interface {
	// Allow returns how many of the next bytes may be read, 0 for any number. An error
	// ends the body.
	Allow() (int, error)
	// Used records that n bytes were read.
	Used(n int)
	// Close is called once, after the last read.
	Close()
}

// Body reads the body of a request; it is the only reader between net/http and a protocol.
// It fails with problem.ErrIdleTimeout when no byte arrives for the idle timeout, however
// long the whole body takes, and with problem.ErrShuttingDown when shutdown begins. It keeps
// the error that ended it.
type Body struct {
	src        io.ReadCloser
	ctl        *http.ResponseController
	idle       time.Duration
	unregister func() bool
	length     int64     // the Content-Length, -1 if unknown
	started    bool      // has been read from, so that the client was allowed to send
	n          int64     // bytes received
	received   func(int) // is called with the number of bytes of each read
	quota      Quota     // nil if the bytes are not limited
	srcErr     error     // the first error of src

	spools   *Spools       // bounds of what toVerify takes
	toVerify *verification // nil if there is nothing to verify

	mu          sync.Mutex
	deadlineSet time.Time // when the deadline was last set
	err         error
}

// NewBody returns a reader of r's body. It calls received, unless that is nil, with the
// number of bytes of each read. Close it when done.
//
// The Router makes the Body of each request, which protocols get from its Exchange.
func NewBody(w http.ResponseWriter, r *http.Request, idle time.Duration, shutdown *Shutdown, received func(int)) *Body {
	b := &Body{src: r.Body, length: r.ContentLength, ctl: http.NewResponseController(w), idle: idle, received: received}
	if b.length == 0 {
		b.err = io.EOF // nothing to abort
	}
	b.unregister = func() bool { return true }
	if shutdown != nil && b.length != 0 {
		b.unregister = context.AfterFunc(shutdown.ctx, func() { b.Abort(problem.ErrShuttingDown) })
	}
	return b
}

// UseSpools makes the body take what it needs to be verified from bounds that bodies share.
// Call it before VerifyDigests.
func (b *Body) UseSpools(s *Spools) { b.spools = s }

// Limit has the bytes that are read from now on limited by q.
func (b *Body) Limit(q Quota) { b.quota = q }

// Read implements io.Reader. If the client gave digests for the body, Read returns no
// bytes before all of it has arrived and been verified.
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
	n, err := b.receive(p)
	if err == nil {
		return n, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.err != nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.err = problem.ErrIdleTimeout
	default:
		b.err = err
	}
	if err == io.EOF {
		// Storing the last bytes may take longer than the idle timeout.
		_ = b.ctl.SetReadDeadline(time.Time{})
	}
	return n, b.err
}

// receive reads from the connection, within the quota.
func (b *Body) receive(p []byte) (int, error) {
	if b.quota != nil {
		allowed, err := b.quota.Allow()
		if err != nil {
			return 0, err
		}
		if allowed > 0 {
			p = p[:min(len(p), allowed)]
		}
	}
	n, err := b.src.Read(p)
	b.n += int64(n)
	if n > 0 && b.received != nil {
		b.received(n)
	}
	if b.quota != nil {
		b.quota.Used(n)
	}
	if err != nil && b.srcErr == nil {
		b.srcErr = err
	}
	return n, err
}

// Length returns the Content-Length of the body, -1 if it is unknown.
func (b *Body) Length() int64 { return b.length }

// Received returns how many bytes have been received so far.
func (b *Body) Received() int64 { return b.n }

// Aborted reports whether the connection ended before the body did.
func (b *Body) Aborted() bool { return b.srcErr != nil && b.srcErr != io.EOF }

// Close detaches the body from Shutdown and makes a later Abort do nothing, since the
// connection may serve the next request by then. It leaves closing the request body to
// net/http, which knows whether the client was allowed to send it: closing it here might
// wait for bytes that never come, before the response is sent.
func (b *Body) Close() error {
	b.unregister()
	if b.quota != nil {
		b.quota.Close()
	}
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

// Err returns the error that ended the body, io.EOF if it was complete, nil if it has not ended.
func (b *Body) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// extendDeadline sets the deadline of the next read. To save work it does so only after
// a tenth of the last timeout has passed.
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

// Abort ends the body with err, unless it has ended already.
func (b *Body) Abort(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
		b.interrupt()
	}
}

// interrupt makes current and later reads fail.
func (b *Body) interrupt() { _ = b.ctl.SetReadDeadline(time.Unix(1, 0)) }

var errClosed = errors.New("read of a closed body")

// DrainLimit is how many bytes of an unread body Drain reads: somewhat more than the
// largest chunk that mobile clients send.
const DrainLimit = 64 << 20

// Drain reads and discards the rest of the body, up to DrainLimit, before a response that
// acknowledges it: a client that is still sending when the response comes may see only a
// connection reset, and retry for ever. It reads nothing from a client that waits for
// 100-continue, which gets the final response at once. For a response that rejects the
// body see DrainOrClose.
//
// Drain reports whether the body was complete.
func (b *Body) Drain(r *http.Request) bool {
	if r.ContentLength == 0 {
		return true
	}
	if !b.started && r.Header.Get("Expect") != "" || r.ContentLength > DrainLimit {
		return false
	}
	n, err := io.Copy(io.Discard, io.LimitReader(bodyReader{b}, DrainLimit+1))
	if errors.Is(err, problem.ErrIdleTimeout) || errors.Is(err, problem.ErrShuttingDown) || errors.Is(err, problem.ErrSuperseded) {
		b.interrupt() // tusd may have set a later deadline, for which net/http would wait
	}
	return err == nil && n <= DrainLimit
}

// Ignore is Drain for a body that has no meaning. It returns the request to serve: when a body
// fails, net/http cancels the context of the request, which can be answered nevertheless.
func (b *Body) Ignore(r *http.Request) *http.Request {
	if b.Drain(r) {
		return r
	}
	return r.WithContext(context.WithoutCancel(r.Context()))
}
