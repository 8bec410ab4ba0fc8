package hooks

import (
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// deadlines is a ResponseWriter that remembers the read deadlines that are set.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, at)
	return nil
}

// last is the deadline in force, zero if there is none.
func (d *deadlines) last() time.Time {
	if len(d.set) == 0 {
		return time.Time{}
	}
	return d.set[len(d.set)-1]
}

// Storing the last bytes of a body may take longer than a client may be silent: a
// deadline that runs on would end the request's context in the middle.
func TestNoDeadlineRunsOnceABodyHasEnded(t *testing.T) {
	for name, src := range map[string]io.Reader{
		"an end of its own":      strings.NewReader("hello"),
		"the end with the bytes": iotest.DataErrReader(strings.NewReader("hello")),
		"byte by byte":           iotest.OneByteReader(strings.NewReader("hello")),
	} {
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		body := NewBody(w, httptest.NewRequest("PUT", "/", src), time.Hour, NewShutdown())
		if _, err := io.ReadFull(body, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if left := time.Until(w.last()); left < time.Hour/2 {
			t.Errorf("%s: a body that is being read has its deadline in %v", name, left)
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			t.Fatal(err)
		}
		if at := w.last(); !at.IsZero() || body.Err() != io.EOF {
			t.Errorf("%s: the body has ended with %v, and a deadline is set to %v", name, body.Err(), at)
		}
		body.Abort(ErrSuperseded) // nothing is left to be cut
		if _, err := body.Read(make([]byte, 1)); err != io.EOF || !w.last().IsZero() {
			t.Errorf("%s: cut after its end: %v, and a deadline is set to %v", name, err, w.last())
		}
		body.Close()
	}
}

// A body that was cut stays so, whatever else becomes of it, and says why.
func TestABodyThatWasCutSaysWhy(t *testing.T) {
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	body := NewBody(w, httptest.NewRequest("PUT", "/", iotest.TimeoutReader(strings.NewReader("hello"))), time.Hour, NewShutdown())
	defer body.Close()
	for _, err := range []error{ErrSuperseded, ErrShuttingDown} {
		body.Abort(err)
		if _, got := body.Read(make([]byte, 1)); !errors.Is(got, ErrSuperseded) || !errors.Is(body.Err(), ErrSuperseded) {
			t.Errorf("it ended with %v, want %v", got, ErrSuperseded)
		}
	}
	if at := w.last(); at.IsZero() || at.After(time.Now()) {
		t.Errorf("the deadline is %v: a read that waits goes on waiting", at)
	}
}
