package s3

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

// wire is the transport between a node and S3. It counts requests, and can inject a fault
// into one of them.
type wire struct {
	next http.RoundTripper

	mu    sync.Mutex
	count map[string]int            // attempts, by operation
	order map[string]map[string]int // the number of each invocation among its operation's, from 1 on
	fault fault
	hit   bool // whether the fault was injected

	// before, if set, is called before the nth request of an operation is sent.
	before func(op string, nth int)
}

// fault is an outcome that is injected into the nth request of an operation.
type fault struct {
	op   string
	nth  int
	what outcome
}

type outcome string

const (
	fails       outcome = "fails permanently"            // every attempt gets 503
	doneButFail outcome = "done, but reported as failed" // every attempt is carried out, and answered with 500
	answerLost  outcome = "loses its response once"      // carried out, then the connection breaks
	slow        outcome = "is slow"
	lies        outcome = "ignored, but reported as done, once" // 200, and nothing happens
)

var outcomes = []outcome{fails, doneButFail, answerLost, slow}

func newWire() *wire {
	return &wire{count: map[string]int{}, order: map[string]map[string]int{}}
}

// plain is the transport to S3 that all tests share.
var plain = http.DefaultTransport.(*http.Transport).Clone()

func init() {
	plain.MaxIdleConnsPerHost = 64
	plain.ResponseHeaderTimeout = 20 * time.Second // as in production, but shorter: a server may never respond
}

func (w *wire) wrap(http.RoundTripper) http.RoundTripper {
	w.next = plain
	return w
}

// operation names the operation of a request, with the kind of object.
func operation(r *http.Request) string {
	q := r.URL.Query()
	switch {
	case r.Header.Get("X-Amz-Copy-Source") != "":
		return "copy"
	case r.Method == http.MethodPut && q.Has("partNumber"):
		return "part"
	case r.Method == http.MethodPost && q.Has("uploads"):
		return "begin"
	case r.Method == http.MethodPost && q.Has("uploadId"):
		return "complete"
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		return "abort"
	case r.Method == http.MethodPost && q.Has("delete"):
		return "delete"
	case r.Method == http.MethodGet && q.Has("list-type"):
		return "list"
	case r.Method == http.MethodGet && q.Has("uploads"):
		return "list multiparts"
	case r.Method == http.MethodGet && q.Has("uploadId"):
		return "list parts"
	case strings.Count(strings.Trim(r.URL.Path, "/"), "/") == 0:
		return "bucket"
	}
	return strings.ToLower(r.Method) + " " + kind(r.URL.Path)
}

func kind(path string) string {
	if !strings.Contains(path, ".holdfast/") {
		return "file"
	}
	switch {
	case strings.Contains(path, "/f/"):
		return "fragment"
	case strings.Contains(path, "/.holdfast/done/"):
		return "done"
	case strings.Contains(path, "/claim/"):
		return "claim"
	}
	name, _ := layout.SplitMark(path[strings.LastIndex(path, "/")+1:], 1)
	return name
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	what, first := w.record(r)
	if w.before != nil {
		w.before(operation(r), w.calls()[operation(r)])
	}
	switch {
	case what == fails:
		_ = r.Body.Close()
		return refusal(r, http.StatusServiceUnavailable), nil
	case what == lies && first:
		_ = r.Body.Close()
		resp := refusal(r, http.StatusOK)
		resp.Body = io.NopCloser(strings.NewReader("<CompleteMultipartUploadResult></CompleteMultipartUploadResult>"))
		return resp, nil
	case what == slow:
		time.Sleep(50 * time.Millisecond)
	case what == doneButFail, what == answerLost && first:
		resp, err := w.next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if what == answerLost {
			return nil, errors.New("the connection broke")
		}
		return refusal(r, http.StatusInternalServerError), nil
	}
	return w.next.RoundTrip(r)
}

// record counts a request. It returns the fault to inject, or "", and whether this is the
// first attempt.
func (w *wire) record(r *http.Request) (what outcome, first bool) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	op := operation(r)
	w.count[op]++
	if w.order[op] == nil {
		w.order[op] = map[string]int{}
	}
	// All attempts of one request have the same invocation id.
	call := r.Header.Get("Amz-Sdk-Invocation-Id")
	nth, again := w.order[op][call]
	if !again {
		nth = len(w.order[op]) + 1
		w.order[op][call] = nth
	}
	if w.fault.op != op || w.fault.nth != nth {
		return "", false
	}
	w.hit = true
	return w.fault.what, !again
}

func refusal(r *http.Request, status int) *http.Response {
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: r,
		Body: io.NopCloser(strings.NewReader("<Error><Code>InternalError</Code><Message>made up</Message></Error>")),
	}
}

// calls returns the number of requests by operation. Retries are not counted.
func (w *wire) calls() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := map[string]int{}
	for op, of := range w.order {
		calls[op] = len(of)
	}
	return calls
}

// reset clears the counts, and returns the total number of attempts.
func (w *wire) reset() (total int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.count {
		total += n
	}
	clear(w.count)
	clear(w.order)
	return total
}

func (w *wire) inject(f fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault, w.hit = f, false
	clear(w.order)
}

func (w *wire) wasHit() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hit
}
