package protocol

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/storage"
)

// RequestMetrics measures one request.
type RequestMetrics interface {
	// BytesIn and BytesOut add bytes of the request and of the response body.
	BytesIn(n int)
	BytesOut(n int)
	// End is called once. A status of 0 means that no response was sent, or that the
	// request was superseded by a newer one of the same client. code is that of the error
	// with which the request failed, "" if it did not.
	End(method string, status int, code string, duration time.Duration)
}

// noMetrics discards all measurements.
type noMetrics struct{}

func (noMetrics) BytesIn(int)                            {}
func (noMetrics) BytesOut(int)                           {}
func (noMetrics) End(string, int, string, time.Duration) {}

// report logs and measures the request at its end. To keep secrets out, it records no URL
// query, and only the headers that give the byte range.
func (x *Exchange) report() {
	if x.status == 0 && x.returned {
		x.status = http.StatusOK // net/http's default
	}
	duration := time.Since(x.began)
	x.mu.Lock()
	defer x.mu.Unlock()
	outcome := x.outcome()
	x.completeError()
	if x.quiet && x.errorCode == "" {
		return
	}
	if x.quiet && x.router.Metrics != nil {
		x.meter = x.router.Metrics("")
	}
	if x.errorCode == problem.CodeSuperseded {
		x.meter.End(x.r.Method, 0, x.errorCode, duration)
	} else {
		x.meter.End(x.r.Method, x.status, x.errorCode, duration)
	}
	endSpan(x.spanOf(), x.status, x.id, outcome, x.Body.Received())
	x.router.Log.LogAttrs(x.r.Context(), x.level, "request", x.fields(outcome, duration)...)
}

// fields returns what the access log has of the request. The caller holds x.mu.
func (x *Exchange) fields(outcome string, duration time.Duration) []slog.Attr {
	fields := []slog.Attr{
		slog.String("id", x.id), slog.String("protocol", x.Protocol()), slog.String("method", truncate(x.r.Method, 32)), slog.String("path", truncate(x.r.URL.Path, 256)),
		slog.String("range", truncate(byteRange(x.r.Header), 64)), slog.String("offset", truncate(x.r.Header.Get("Upload-Offset"), 32)),
		slog.Int64("bytes_in", x.Body.Received()), slog.Int64("bytes_out", x.bytesOut), slog.Int("status", x.status), slog.String("outcome", outcome),
		slog.Duration("duration", duration), slog.Duration("lock_wait", x.lockWait), slog.String("remote_addr", x.r.RemoteAddr),
	}
	if x.errorCode != "" {
		fields = append(fields, slog.String("error_code", x.errorCode))
	}
	if x.subject != "" {
		fields = append(fields, slog.String("subject", x.subject))
	}
	if trace := x.spanOf().SpanContext(); trace.IsSampled() {
		fields = append(fields, slog.String("trace", trace.TraceID().String()))
	}
	return fields
}

// byteRange returns the range of bytes that the client sends or requests.
func byteRange(h http.Header) string {
	if sent := h.Get("Content-Range"); sent != "" {
		return sent
	}
	return h.Get("Range")
}

// outcome returns one word for how the request ended. The caller holds x.mu.
func (x *Exchange) outcome() string {
	received, aborted := x.Body.Received() > 0, x.Body.Aborted()
	switch {
	case x.status == http.StatusLocked:
		return "locked"
	case x.errorCode == problem.CodeSuperseded:
		return "superseded"
	case x.errorCode == problem.CodeOrigin:
		return "refused"
	case x.status >= 400 && x.status < 500 && (x.errorCode != "" || !aborted):
		return "refused"
	case aborted:
		return "aborted"
	case x.status >= 500 || !x.returned:
		return "failed"
	case received && x.event == storage.Created, received && x.event == "":
		return "stored"
	case x.event != "":
		return string(x.event)
	case x.r.Method == http.MethodGet && x.status < 300:
		return "served"
	}
	return "answered"
}

// truncate returns the first limit bytes of value.
func truncate(value string, limit int) string { return value[:min(len(value), limit)] }
