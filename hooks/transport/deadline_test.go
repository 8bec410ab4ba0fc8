package transport

import (
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/problem"
)

// deadlines is a ResponseWriter that records the read deadlines that are set.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, at)
	return nil
}

// last returns the current deadline, zero if there is none.
func (d *deadlines) last() time.Time {
	if len(d.set) == 0 {
		return time.Time{}
	}
	return d.set[len(d.set)-1]
}

// Storing the last bytes of a body may take longer than the idle timeout: a deadline that
// passed meanwhile would cancel the request's context.
func TestTheReadDeadlineIsClearedWhenTheBodyEnds(t *testing.T) {
	for name, src := range map[string]io.Reader{
		"EOF after the bytes": strings.NewReader("hello"),
		"EOF with the bytes":  iotest.DataErrReader(strings.NewReader("hello")),
		"byte by byte":        iotest.OneByteReader(strings.NewReader("hello")),
	} {
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		body := NewBody(w, httptest.NewRequest("PUT", "/", src), time.Hour, NewShutdown(), nil)
		if _, err := io.ReadFull(body, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if left := time.Until(w.last()); left < time.Hour/2 {
			t.Errorf("%s: while reading the deadline is in %v", name, left)
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			t.Fatal(err)
		}
		if at := w.last(); !at.IsZero() || body.Err() != io.EOF {
			t.Errorf("%s: the body ended with %v, and the deadline is %v", name, body.Err(), at)
		}
		body.Abort(problem.ErrSuperseded) // must do nothing
		if _, err := body.Read(make([]byte, 1)); err != io.EOF || !w.last().IsZero() {
			t.Errorf("%s: aborted after its end: %v, and the deadline is %v", name, err, w.last())
		}
		body.Close()
	}
}

func TestAnAbortedBodyKeepsItsFirstError(t *testing.T) {
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	body := NewBody(w, httptest.NewRequest("PUT", "/", iotest.TimeoutReader(strings.NewReader("hello"))), time.Hour, NewShutdown(), nil)
	defer body.Close()
	for _, err := range []error{problem.ErrSuperseded, problem.ErrShuttingDown} {
		body.Abort(err)
		if _, got := body.Read(make([]byte, 1)); !errors.Is(got, problem.ErrSuperseded) || !errors.Is(body.Err(), problem.ErrSuperseded) {
			t.Errorf("it ended with %v, want %v", got, problem.ErrSuperseded)
		}
	}
	if at := w.last(); at.IsZero() || at.After(time.Now()) {
		t.Errorf("the deadline is %v, want one in the past", at)
	}
}
