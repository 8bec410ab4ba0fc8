// Package otlpjson decodes traces in OTLP's JSON by the official Protobuf schema.
package otlpjson

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// Decode decodes the body of an export request, which has the form of TracesData. It fails for
// a field that the schema lacks, a value of the wrong type and an id that is not in hexadecimal.
func Decode(body []byte) (*trace.TracesData, error) {
	var data trace.TracesData
	if err := protojson.Unmarshal(body, &data); err != nil {
		return nil, err
	}
	var wrong []error
	for _, resource := range data.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				wrong = append(wrong, decodeID(&s.TraceId, 16), decodeID(&s.SpanId, 8))
				if len(s.ParentSpanId) > 0 {
					wrong = append(wrong, decodeID(&s.ParentSpanId, 8))
				}
				for _, l := range s.GetLinks() {
					wrong = append(wrong, decodeID(&l.TraceId, 16), decodeID(&l.SpanId, 8))
				}
			}
		}
	}
	return &data, errors.Join(wrong...)
}

// decodeID corrects an id. In OTLP's JSON it is in hexadecimal, but protojson has taken it for
// base64, as other bytes are.
func decodeID(id *[]byte, length int) error {
	text := base64.StdEncoding.EncodeToString(*id)
	decoded, err := hex.DecodeString(text)
	if err != nil || len(decoded) != length {
		return fmt.Errorf("the id %q is not %d bytes in hexadecimal", text, length)
	}
	*id = decoded
	return nil
}
