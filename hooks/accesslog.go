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
type RequestMetrics interface {
	// Received and Served are told of bytes of the body and of the answer.
	BytesIn(n int)
	BytesOut(n int)
	// End is called once. A status of 0 says that there was no answer, or none that
	// counts: to a request whose client has sent a newer one.
	End(method string, status int, took time.Duration)
}

// unmeasured is the Meter where nobody measures.
type noMetrics struct{}

func (noMetrics) BytesIn(int)                    {}
func (noMetrics) BytesOut(int)                   {}
func (noMetrics) End(string, int, time.Duration) {}

// watched makes each request known: by a line in the log, to a Meter, and in a trace.
// What clients may keep secret is in none of them: of headers there are only those
// that say which bytes are meant, and no query of a URL.
func (o Options) accessLog(doors []Protocol, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := o.record(w, r, match(doors, r))
		defer x.end()
		next.ServeHTTP(x, x.r)
		x.returned = true
	})
}

// watch begins to watch a request.
func (o Options) record(w http.ResponseWriter, r *http.Request, door Protocol) *responseRecorder {
	x := &responseRecorder{ResponseWriter: w, began: time.Now(), log: o.Log, meter: noMetrics{}, requestLog: &RequestLog{}}
	if door != nil {
		x.requestLog.protocol = door.Name()
	}
	if id := o.URLs.ID(r); storage.CheckID(id) == nil {
		x.requestLog.id = id
	}
	if o.Metrics != nil {
		x.meter = o.Metrics(x.requestLog.protocol)
	}
	ctx, span := o.startSpan(r, x.requestLog.protocol, x.requestLog.id)
	x.span, x.r = span, r.WithContext(context.WithValue(ctx, requestLogKey{}, x.requestLog))
	if r.Body != nil && r.Body != http.NoBody {
		x.body.ReadCloser, x.body.meter = r.Body, x.meter
		x.r.Body = &x.body
	}
	return x
}

// watching is a request that is watched. It is the ResponseWriter that doors get.
type responseRecorder struct {
	http.ResponseWriter
	r          *http.Request // as it is handed on
	body       meteredBody
	requestLog *RequestLog
	meter      RequestMetrics
	span       trace.Span
	log        *slog.Logger
	began      time.Time

	status   int
	bytesOut int64
	returned bool // the handler has not panicked
}

// WriteHeader implements http.ResponseWriter.
func (x *responseRecorder) WriteHeader(status int) {
	if x.status == 0 && status >= 200 {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (x *responseRecorder) Write(p []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	n, err := x.ResponseWriter.Write(p)
	x.bytesOut += int64(n)
	x.meter.BytesOut(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (x *responseRecorder) Unwrap() http.ResponseWriter { return x.ResponseWriter }

func (x *responseRecorder) end() {
	if x.status == 0 && x.returned {
		x.status = http.StatusOK // as net/http answers for a handler that says nothing
	}
	took := time.Since(x.began)
	s := x.requestLog
	s.mu.Lock()
	defer s.mu.Unlock()
	outcome := x.outcome()
	if s.errorCode == codeReplaced {
		x.meter.End(x.r.Method, 0, took)
	} else {
		x.meter.End(x.r.Method, x.status, took)
	}
	endSpan(x.span, x.status, s.id, outcome, x.body.n)
	fields := []slog.Attr{
		slog.String("id", s.id), slog.String("protocol", s.protocol), slog.String("method", truncate(x.r.Method, 32)), slog.String("path", truncate(x.r.URL.Path, 256)),
		slog.String("range", truncate(byteRange(x.r.Header), 64)), slog.String("offset", truncate(x.r.Header.Get("Upload-Offset"), 32)),
		slog.Int64("bytes_in", x.body.n), slog.Int64("bytes_out", x.bytesOut), slog.Int("status", x.status), slog.String("outcome", outcome),
		slog.Duration("duration", took), slog.Duration("lock_wait", s.lockWait), slog.String("remote_addr", x.r.RemoteAddr),
	}
	if s.errorCode != "" {
		fields = append(fields, slog.String("error_code", s.errorCode))
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
func (x *responseRecorder) outcome() string {
	switch {
	case x.status == http.StatusLocked:
		return "locked"
	case x.requestLog.errorCode == codeReplaced:
		return "superseded"
	case x.status >= 400 && x.status < 500 && (x.requestLog.errorCode != "" || !x.body.aborted()):
		return "refused"
	case x.body.aborted():
		return "aborted"
	case x.status >= 500 || !x.returned:
		return "failed"
	case x.body.n > 0 && x.requestLog.event == storage.Created, x.body.n > 0 && x.requestLog.event == "":
		return "stored"
	case x.requestLog.event != "":
		return string(x.requestLog.event)
	case x.r.Method == http.MethodGet && x.status < 300:
		return "served"
	}
	return "answered"
}

// short is what a client sent, as far as it can make sense.
func truncate(value string, most int) string { return value[:min(len(value), most)] }

// watchedBody counts what is read of a body, and remembers how that ended.
type meteredBody struct {
	io.ReadCloser
	meter RequestMetrics
	n     int64
	err   error
}

// broke tells whether the body ended before it should have.
func (b *meteredBody) aborted() bool { return b.err != nil && b.err != io.EOF }

// Read implements io.Reader.
func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	if n > 0 {
		b.meter.BytesIn(n)
	}
	if err != nil && b.err == nil {
		b.err = err
	}
	return n, err
}
