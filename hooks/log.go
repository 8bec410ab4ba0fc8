package hooks

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-upload/holdfast/storage"
)

// Meter measures one request.
type Meter interface {
	// Received and Served are told of bytes of the body and of the answer.
	Received(n int)
	Served(n int)
	// End is called once. A status of 0 says that there was no answer, or none that
	// counts: to a request whose client has sent a newer one.
	End(method string, status int, took time.Duration)
}

// unmeasured is the Meter where nobody measures.
type unmeasured struct{}

func (unmeasured) Received(int)                   {}
func (unmeasured) Served(int)                     {}
func (unmeasured) End(string, int, time.Duration) {}

// watched makes each request known: by a line in the log, to a Meter, and in a trace.
// What clients may keep secret is in none of them: of headers there are only those
// that say which bytes are meant, and no query of a URL.
func (o Options) watched(doors []Door, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := o.watch(w, r, claimant(doors, r))
		defer x.end()
		next.ServeHTTP(x, x.r)
		x.returned = true
	})
}

// watch begins to watch a request.
func (o Options) watch(w http.ResponseWriter, r *http.Request, door Door) *watching {
	x := &watching{ResponseWriter: w, began: time.Now(), log: o.Log, meter: unmeasured{}, seen: &Seen{}}
	if door != nil {
		x.seen.door = door.Name()
	}
	if id := o.URLs.ID(r); storage.CheckID(id) == nil {
		x.seen.id = id
	}
	if o.Watch != nil {
		x.meter = o.Watch(x.seen.door)
	}
	ctx, span := o.startSpan(r, x.seen.door, x.seen.id)
	x.span, x.r = span, r.WithContext(context.WithValue(ctx, seenKey{}, x.seen))
	if r.Body != nil && r.Body != http.NoBody {
		x.body.ReadCloser, x.body.meter = r.Body, x.meter
		x.r.Body = &x.body
	}
	return x
}

// watching is a request that is watched. It is the ResponseWriter that doors get.
type watching struct {
	http.ResponseWriter
	r     *http.Request // as it is handed on
	body  watchedBody
	seen  *Seen
	meter Meter
	span  trace.Span
	log   *slog.Logger
	began time.Time

	status   int
	served   int64
	returned bool // the handler has not panicked
}

// WriteHeader implements http.ResponseWriter.
func (x *watching) WriteHeader(status int) {
	if x.status == 0 && status >= 200 {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (x *watching) Write(p []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	n, err := x.ResponseWriter.Write(p)
	x.served += int64(n)
	x.meter.Served(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (x *watching) Unwrap() http.ResponseWriter { return x.ResponseWriter }

func (x *watching) end() {
	if x.status == 0 && x.returned {
		x.status = http.StatusOK // as net/http answers for a handler that says nothing
	}
	took := time.Since(x.began)
	s := x.seen
	s.mu.Lock()
	defer s.mu.Unlock()
	outcome := x.outcome()
	if s.why == codeReplaced {
		x.meter.End(x.r.Method, 0, took)
	} else {
		x.meter.End(x.r.Method, x.status, took)
	}
	endSpan(x.span, x.status, s.id, outcome, x.body.n)
	fields := []slog.Attr{
		slog.String("id", s.id), slog.String("door", s.door), slog.String("method", short(x.r.Method, 32)), slog.String("path", short(x.r.URL.Path, 256)),
		slog.String("range", short(byteRange(x.r.Header), 64)), slog.String("offset", short(x.r.Header.Get("Upload-Offset"), 32)),
		slog.Int64("received", x.body.n), slog.Int64("served", x.served), slog.Int("status", x.status), slog.String("outcome", outcome),
		slog.Duration("took", took), slog.Duration("waited", s.waited), slog.String("client", x.r.RemoteAddr),
	}
	if s.why != "" {
		fields = append(fields, slog.String("why", s.why))
	}
	if s.subject != "" {
		fields = append(fields, slog.String("subject", s.subject))
	}
	if trace := x.span.SpanContext(); trace.IsSampled() {
		fields = append(fields, slog.String("trace", trace.TraceID().String()))
	}
	x.log.LogAttrs(x.r.Context(), slog.LevelInfo, "request", fields...)
}

// byteRange is which bytes the client sends, or wants.
func byteRange(h http.Header) string {
	if sent := h.Get("Content-Range"); sent != "" {
		return sent
	}
	return h.Get("Range")
}

// outcome says in a word or two how the request ended. The caller holds the lock of
// what was seen.
func (x *watching) outcome() string {
	switch {
	case x.status == http.StatusLocked:
		return "locked"
	case x.seen.why == codeReplaced:
		return "superseded"
	case x.status >= 400 && x.status < 500 && (x.seen.why != "" || !x.body.broke()):
		return "refused"
	case x.body.broke():
		return "broke off"
	case x.status >= 500 || !x.returned:
		return "failed"
	case x.body.n > 0 && x.seen.event == storage.Created, x.body.n > 0 && x.seen.event == "":
		return "stored"
	case x.seen.event != "":
		return string(x.seen.event)
	case x.r.Method == http.MethodGet && x.status < 300:
		return "served"
	}
	return "answered"
}

// short is what a client sent, as far as it can make sense.
func short(value string, most int) string { return value[:min(len(value), most)] }

// watchedBody counts what is read of a body, and remembers how that ended.
type watchedBody struct {
	io.ReadCloser
	meter Meter
	n     int64
	err   error
}

// broke tells whether the body ended before it should have.
func (b *watchedBody) broke() bool { return b.err != nil && b.err != io.EOF }

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	if n > 0 {
		b.meter.Received(n)
	}
	if err != nil && b.err == nil {
		b.err = err
	}
	return n, err
}
