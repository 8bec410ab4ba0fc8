package test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/holdfast-upload/holdfast/test/otlpjson"
)

// otlp is a collector of traces that keeps all it gets.
type otlp struct {
	*httptest.Server

	mu      sync.Mutex
	raw     bytes.Buffer
	spans   []*trace.Span
	service string
	wrong   []string
}

func startCollector(t *testing.T) *otlp {
	t.Helper()
	c := &otlp{}
	c.Server = httptest.NewServer(http.HandlerFunc(c.take))
	t.Cleanup(c.Close)
	return c
}

func (c *otlp) take(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	var batch *trace.TracesData
	if err == nil {
		batch, err = otlpjson.Decode(body)
	}
	if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/json" {
		c.wrong = append(c.wrong, fmt.Sprintf("%s %s: %v", r.Method, r.URL, err))
	}
	c.raw.Write(body)
	for _, resource := range batch.GetResourceSpans() {
		for _, a := range resource.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				c.service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, "{}")
}

// under are the spans of that name below a span, of any depth.
func (c *otlp) under(top *trace.Span, name string) (found []*trace.Span) {
	for _, s := range c.spans {
		if !bytes.Equal(s.GetParentSpanId(), top.GetSpanId()) {
			continue
		}
		if s.GetName() == name {
			found = append(found, s)
		}
		found = append(found, c.under(s, name)...)
	}
	return found
}

// named are all spans of a name.
func (c *otlp) named(name string) (found []*trace.Span) {
	for _, s := range c.spans {
		if s.GetName() == name {
			found = append(found, s)
		}
	}
	return found
}

// attribute is the text of a span's attribute.
func attribute(s *trace.Span, key string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// wantTree demands that below a span are, one below the other, those of the path
// "name/name/name", all of one trace and for one upload.
func (c *otlp) wantTree(t *testing.T, top *trace.Span, id string, paths ...string) {
	t.Helper()
	for _, path := range paths {
		at := top
		for name := range strings.SplitSeq(path, "/") {
			var next *trace.Span
			for _, s := range c.spans {
				if s.GetName() == name && bytes.Equal(s.GetParentSpanId(), at.GetSpanId()) && bytes.Equal(s.GetTraceId(), at.GetTraceId()) {
					next = s
				}
			}
			if next == nil {
				t.Errorf("%s has no %q below %q (%s)\n%s", top.GetName(), name, at.GetName(), path, c.tree(top, "  "))
				break
			}
			if got := attribute(next, "holdfast.upload.id"); got != id {
				t.Errorf("%s: %q is for the upload %q, want %q", path, name, got, id)
			}
			if next.GetEndTimeUnixNano() < next.GetStartTimeUnixNano() || next.GetStartTimeUnixNano() < top.GetStartTimeUnixNano() {
				t.Errorf("%s: %q has times that cannot be", path, name)
			}
			at = next
		}
	}
}

// tree prints what is below a span.
func (c *otlp) tree(top *trace.Span, indent string) string {
	text := indent + top.GetName() + "\n"
	for _, s := range c.spans {
		if bytes.Equal(s.GetParentSpanId(), top.GetSpanId()) {
			text += c.tree(s, indent+"  ")
		}
	}
	return text
}
