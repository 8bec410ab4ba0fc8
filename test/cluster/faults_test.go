package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// outcome is what becomes of an S3 request.
type outcome int

const (
	pass   outcome = iota
	refuse         // answered 503, not done
	cut            // the connection breaks, not done
	lose           // done, but the connection breaks before the answer
)

// s3Request is what a rule decides by.
type s3Request struct {
	op   string // "UploadPart", "Complete", "Put", …
	id   string // of the upload
	key  string // of the object
	part int    // the number, if it is of a part
	of   string // the multipart upload
}

// faults is a proxy before the S3 server at which chosen requests fail.
type faults struct {
	*httptest.Server

	mu       sync.Mutex
	rule     func(s3Request) outcome  // may wait
	hits     int                      // requests that did not pass
	requests map[string][]string      // what was asked of S3, by upload id
	made     map[string]*sync.RWMutex // by multipart upload: held by what makes it the file, or aborts it
}

func newFaults(t *testing.T, target string) *faults {
	f := &faults{requests: map[string][]string{}, made: map[string]*sync.RWMutex{}}
	lost := errors.New("lost")
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", target },
		// Where a node waits for leave to send a body, so must the proxy.
		Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true, ExpectContinueTimeout: 5 * time.Second},
		ModifyResponse: func(resp *http.Response) error {
			if resp.Request.Header.Get(loseHeader) != "" {
				return lost
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     quiet,
	}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, proxy) }))
	f.Config.ErrorLog = quiet
	f.Start()
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

// loseHeader marks a request whose answer is to be lost. S3 does not mind it.
const loseHeader = "X-Test-Lose"

func (f *faults) serve(w http.ResponseWriter, r *http.Request, proxy http.Handler) {
	asked := parseS3(r)
	became := f.decide(asked)
	rec := &statusRecorder{ResponseWriter: w}
	defer f.note(asked, became, time.Now(), rec)
	w = rec
	switch became {
	case refuse:
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>a test wants it so</Message></Error>`)
		return
	case cut:
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		panic(http.ErrAbortHandler)
	case lose:
		r.Header.Set(loseHeader, "1")
	}
	if asked.of != "" {
		f.inOneStep(w, r, asked, proxy)
		return
	}
	proxy.ServeHTTP(w, r)
}

// inOneStep forwards a request about a multipart upload. S3 makes the file in one step;
// versitygw, while it does, lists some of the parts or none, and begins the multipart
// upload again if a part comes. So nothing else gets to it meanwhile.
func (f *faults) inOneStep(w http.ResponseWriter, r *http.Request, asked s3Request, proxy http.Handler) {
	body, err := io.ReadAll(r.Body) // or else a slow node would keep others waiting
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r = r.WithContext(context.WithoutCancel(r.Context())) // versitygw goes on if the node is killed
	r.Body = io.NopCloser(bytes.NewReader(body))
	f.mu.Lock()
	step := f.made[asked.of]
	if step == nil {
		step = &sync.RWMutex{}
		f.made[asked.of] = step
	}
	f.mu.Unlock()
	if asked.op == "Complete" || asked.op == "Abort" {
		step.Lock()
		defer step.Unlock()
	} else {
		step.RLock()
		defer step.RUnlock()
	}
	proxy.ServeHTTP(w, r)
}

func (f *faults) decide(r s3Request) outcome {
	f.mu.Lock()
	rule := f.rule
	f.mu.Unlock()
	if rule == nil {
		return pass
	}
	o := rule(r)
	if o != pass {
		f.mu.Lock()
		f.hits++
		f.mu.Unlock()
	}
	return o
}

// note writes down what a node asked of S3, and what came of it.
func (f *faults) note(r s3Request, o outcome, began time.Time, w *statusRecorder) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests[r.id] = append(f.requests[r.id], fmt.Sprintf("%s +%v %s %s part %d of %.8s: %d, fault %d",
		began.Format("05.000"), time.Since(began).Round(time.Millisecond), r.op, r.key, r.part, r.of, w.status, o))
}

// history is all that was asked of S3 about an upload.
func (f *faults) history(id string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return id + "\n  " + strings.Join(f.requests[id], "\n  ")
}

// statusRecorder remembers the status of an answer, 0 if there was none.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (w *statusRecorder) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusRecorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// set puts a rule in force, nil for none.
func (f *faults) set(rule func(s3Request) outcome) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rule = rule
}

func (f *faults) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hits
}

func parseS3(r *http.Request) s3Request {
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	q := r.URL.Query()
	if q.Has("prefix") {
		key = q.Get("prefix") // of a listing
	}
	part, _ := strconv.Atoi(q.Get("partNumber"))
	return s3Request{op: s3Op(r.Method, q, key), id: idOf(key), key: key, part: part, of: q.Get("uploadId")}
}

// idOf is the id of the upload that a key belongs to.
func idOf(key string) string {
	key = strings.TrimPrefix(key, ".holdfast/live/")
	id, _, _ := strings.Cut(strings.TrimPrefix(key, ".holdfast/done/"), "/")
	return id
}

func s3Op(method string, q url.Values, key string) string {
	switch {
	case q.Has("partNumber"):
		return "UploadPart"
	case q.Has("uploadId"):
		return map[string]string{http.MethodPost: "Complete", http.MethodGet: "ListParts", http.MethodDelete: "Abort"}[method]
	case q.Has("uploads"):
		return map[string]string{http.MethodPost: "Begin", http.MethodGet: "ListMultiparts"}[method]
	case q.Has("delete"):
		return "DeleteObjects"
	case q.Has("list-type"):
		return "List"
	case key == "":
		return method + "Bucket"
	}
	return map[string]string{http.MethodPut: "Put", http.MethodGet: "Get", http.MethodHead: "Head", http.MethodDelete: "Delete"}[method]
}
