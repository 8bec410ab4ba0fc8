package otlp

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// The types below are the JSON of an ExportTraceServiceRequest, as far as it is used here: the
// JSON mapping of Protobuf, with ids in hexadecimal and enums as numbers (OpenTelemetry
// Protocol Specification, section JSON Protobuf Encoding).

type exportRequest struct {
	ResourceSpans []resourceSpans `json:"resourceSpans"`
}

type resourceSpans struct {
	Resource struct {
		Attributes []keyValue `json:"attributes,omitempty"`
	} `json:"resource"`
	ScopeSpans []*scopeSpans `json:"scopeSpans"`
	SchemaURL  string        `json:"schemaUrl,omitempty"`
}

type scopeSpans struct {
	Scope struct {
		Name       string     `json:"name,omitempty"`
		Version    string     `json:"version,omitempty"`
		Attributes []keyValue `json:"attributes,omitempty"`
	} `json:"scope"`
	Spans     []span `json:"spans"`
	SchemaURL string `json:"schemaUrl,omitempty"`
}

// link is what the spans of requests and the spans that they name have in common.
type link struct {
	TraceID           string     `json:"traceId"`
	SpanID            string     `json:"spanId"`
	TraceState        string     `json:"traceState,omitempty"`
	Attributes        []keyValue `json:"attributes,omitempty"`
	DroppedAttributes int        `json:"droppedAttributesCount,omitempty"`
	Flags             uint32     `json:"flags,omitempty"`
}

type span struct {
	link
	ParentSpanID  string         `json:"parentSpanId,omitempty"`
	Name          string         `json:"name"`
	Kind          trace.SpanKind `json:"kind,omitempty"` // the numbers are those of OTLP
	Start         int64          `json:"startTimeUnixNano,string"`
	End           int64          `json:"endTimeUnixNano,string"`
	Events        []event        `json:"events,omitempty"`
	DroppedEvents int            `json:"droppedEventsCount,omitempty"`
	Links         []link         `json:"links,omitempty"`
	DroppedLinks  int            `json:"droppedLinksCount,omitempty"`
	Status        struct {
		Message string `json:"message,omitempty"`
		Code    int    `json:"code,omitempty"`
	} `json:"status"`
}

type event struct {
	Time              int64      `json:"timeUnixNano,string"`
	Name              string     `json:"name"`
	Attributes        []keyValue `json:"attributes,omitempty"`
	DroppedAttributes int        `json:"droppedAttributesCount,omitempty"`
}

type keyValue struct {
	Key   string   `json:"key"`
	Value anyValue `json:"value"`
}

// anyValue has one field, which is named for the type of its value.
type anyValue map[string]any

// encode returns the body of a request with these spans, which are of one resource: that of
// the one provider which exports here.
func encode(spans []sdk.ReadOnlySpan) ([]byte, error) {
	all := resourceSpans{SchemaURL: spans[0].Resource().SchemaURL()}
	all.Resource.Attributes = encodeAttributes(spans[0].Resource().Attributes())
	scopes := map[instrumentation.Scope]*scopeSpans{}
	for _, s := range spans {
		of := s.InstrumentationScope()
		if scopes[of] == nil {
			scopes[of] = newScope(of)
			all.ScopeSpans = append(all.ScopeSpans, scopes[of])
		}
		scopes[of].Spans = append(scopes[of].Spans, encodeSpan(s))
	}
	return json.Marshal(exportRequest{[]resourceSpans{all}})
}

func newScope(of instrumentation.Scope) *scopeSpans {
	s := &scopeSpans{SchemaURL: of.SchemaURL}
	s.Scope.Name, s.Scope.Version, s.Scope.Attributes = of.Name, of.Version, encodeAttributes(of.Attributes.ToSlice())
	return s
}

func encodeSpan(s sdk.ReadOnlySpan) span {
	out := span{
		link: encodeLink(s.SpanContext(), s.Attributes(), s.DroppedAttributes()),
		Name: s.Name(), Kind: s.SpanKind(), Start: nanoseconds(s.StartTime()), End: nanoseconds(s.EndTime()),
		DroppedEvents: s.DroppedEvents(), DroppedLinks: s.DroppedLinks(),
	}
	if parent := s.Parent(); parent.HasSpanID() {
		out.ParentSpanID = parent.SpanID().String()
	}
	out.Flags = flags(s.SpanContext().TraceFlags(), s.Parent().IsRemote())
	switch status := s.Status(); status.Code {
	case codes.Ok:
		out.Status.Code = 1
	case codes.Error:
		out.Status.Code, out.Status.Message = 2, status.Description
	}
	for _, e := range s.Events() {
		out.Events = append(out.Events, event{nanoseconds(e.Time), e.Name, encodeAttributes(e.Attributes), e.DroppedAttributeCount})
	}
	for _, l := range s.Links() {
		out.Links = append(out.Links, encodeLink(l.SpanContext, l.Attributes, l.DroppedAttributeCount))
	}
	return out
}

func encodeLink(to trace.SpanContext, attributes []attribute.KeyValue, dropped int) link {
	return link{
		TraceID: to.TraceID().String(), SpanID: to.SpanID().String(), TraceState: to.TraceState().String(),
		Attributes: encodeAttributes(attributes), DroppedAttributes: dropped, Flags: flags(to.TraceFlags(), to.IsRemote()),
	}
}

// flags returns the W3C flags of a span, and above them whether its parent, or the span that
// a link names, is of another process (SpanFlags in trace.proto).
func flags(w3c trace.TraceFlags, remote bool) uint32 {
	const hasIsRemote, isRemote = 0x100, 0x200
	if remote {
		return uint32(w3c) | hasIsRemote | isRemote
	}
	return uint32(w3c) | hasIsRemote
}

// nanoseconds returns the time since 1970, 0 for an earlier one.
func nanoseconds(t time.Time) int64 { return max(0, t.UnixNano()) }

func encodeAttributes(attributes []attribute.KeyValue) []keyValue {
	var out []keyValue
	for _, a := range attributes {
		out = append(out, keyValue{string(a.Key), encodeValue(a.Value.AsInterface())})
	}
	return out
}

func encodeValue(value any) anyValue {
	switch v := value.(type) {
	case string:
		return anyValue{"stringValue": v}
	case bool:
		return anyValue{"boolValue": v}
	case int64:
		return anyValue{"intValue": strconv.FormatInt(v, 10)}
	case float64:
		return anyValue{"doubleValue": encodeDouble(v)}
	case []string:
		return encodeArray(v)
	case []bool:
		return encodeArray(v)
	case []int64:
		return encodeArray(v)
	case []float64:
		return encodeArray(v)
	}
	return anyValue{"stringValue": fmt.Sprint(value)}
}

func encodeArray[T any](list []T) anyValue {
	values := make([]anyValue, len(list))
	for i, v := range list {
		values[i] = encodeValue(v)
	}
	return anyValue{"arrayValue": map[string]any{"values": values}}
}

// encodeDouble returns what stands for a number: JSON has none for the three special ones.
func encodeDouble(v float64) any {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	}
	return v
}
