package protocol

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/storage"
)

// RequestMetrics measures one request.
type RequestMetrics interface {
	// BytesIn and BytesOut add bytes of the request and of the response body.
	BytesIn(n int)
	BytesOut(n int)
	// End is called once. A status of 0 means that no response was sent, or that the
	// request was superseded by a newer one of the same client.
	End(method string, status int, duration time.Duration)
}

// noMetrics discards all measurements.
type noMetrics struct{}

func (noMetrics) BytesIn(int)                    {}
func (noMetrics) BytesOut(int)                   {}
func (noMetrics) End(string, int, time.Duration) {}

// accessLog logs, measures and traces each request. To keep secrets out, it records no
// URL query, and only the headers that give the byte range.
func (o Options) accessLog(protocols []Protocol, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := o.record(w, r, Match(protocols, r))
		defer x.end()
		next.ServeHTTP(x, x.r)
		x.returned = true
	})
}

// record begins to record a request.
func (o Options) record(w http.ResponseWriter, r *http.Request, p Protocol) *responseRecorder {
	x := &responseRecorder{ResponseWriter: w, began: time.Now(), log: o.Log, meter: noMetrics{}, requestLog: &RequestLog{}}
	if p != nil {
		x.requestLog.protocol = p.Name()
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

// responseRecorder records one request. It is the ResponseWriter that handlers get.
type responseRecorder struct {
	http.ResponseWriter
	r          *http.Request // as passed to the handler
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
		x.status = http.StatusOK // net/http's default
	}
	duration := time.Since(x.began)
	s := x.requestLog
	s.mu.Lock()
	defer s.mu.Unlock()
	outcome := x.outcome()
	if s.errorCode == problem.CodeSuperseded {
		x.meter.End(x.r.Method, 0, duration)
	} else {
		x.meter.End(x.r.Method, x.status, duration)
	}
	endSpan(x.span, x.status, s.id, outcome, x.body.n)
	fields := []slog.Attr{
		slog.String("id", s.id), slog.String("protocol", s.protocol), slog.String("method", truncate(x.r.Method, 32)), slog.String("path", truncate(x.r.URL.Path, 256)),
		slog.String("range", truncate(byteRange(x.r.Header), 64)), slog.String("offset", truncate(x.r.Header.Get("Upload-Offset"), 32)),
		slog.Int64("bytes_in", x.body.n), slog.Int64("bytes_out", x.bytesOut), slog.Int("status", x.status), slog.String("outcome", outcome),
		slog.Duration("duration", duration), slog.Duration("lock_wait", s.lockWait), slog.String("remote_addr", x.r.RemoteAddr),
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

// byteRange returns the range of bytes that the client sends or requests.
func byteRange(h http.Header) string {
	if sent := h.Get("Content-Range"); sent != "" {
		return sent
	}
	return h.Get("Range")
}

// outcome returns one word for how the request ended. The caller holds requestLog.mu.
func (x *responseRecorder) outcome() string {
	switch {
	case x.status == http.StatusLocked:
		return "locked"
	case x.requestLog.errorCode == problem.CodeSuperseded:
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

// truncate returns the first limit bytes of value.
func truncate(value string, limit int) string { return value[:min(len(value), limit)] }

// meteredBody counts the bytes read from a body and keeps its first error.
type meteredBody struct {
	io.ReadCloser
	meter RequestMetrics
	n     int64
	err   error
}

// aborted reports whether the body ended early.
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
