package otlp

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// maxAnswer bounds how much of a collector's answer is read.
const maxAnswer = 64 << 10

// sender is an sdk.SpanExporter that sends spans to a collector, in JSON.
type sender struct {
	url       string
	userAgent string
	env       environment
	client    *http.Client
}

// ExportSpans implements sdk.SpanExporter. It retries what the collector declares to be
// temporary until ctx is done.
func (s *sender) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if len(spans) == 0 {
		return nil
	}
	body, err := encode(spans)
	if err == nil && s.env.gzip {
		body, err = compress(body)
	}
	if err != nil {
		return err
	}
	pause := backoff.NewExponentialBackOff()
	for {
		after, err := s.post(ctx, body)
		if err == nil || after < 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(max(after, pause.NextBackOff())):
		}
	}
}

// Shutdown implements sdk.SpanExporter.
func (s *sender) Shutdown(context.Context) error {
	s.client.CloseIdleConnections()
	return nil
}

func compress(body []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// never is returned in place of a time to wait, for what is not worth a retry.
const never = -1

// post sends a request once. With an error it returns how long to wait at least before a
// retry, or never.
func (s *sender) post(ctx context.Context, body []byte) (after time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return never, err
	}
	r.Header = s.env.headers.Clone()
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", s.userAgent)
	if s.env.gzip {
		r.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return afterFailure(err), err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return retryAfter(resp.Header), fmt.Errorf("%s: %.200q", resp.Status, answer)
	}
	if resp.StatusCode/100 != 2 {
		return never, fmt.Errorf("%s: %.200q", resp.Status, answer)
	}
	return never, cmp.Or(err, rejected(answer))
}

// afterFailure returns how long to wait after a request without an answer: 0 if the collector
// ended the connection, never if it can't be reached.
func afterFailure(err error) time.Duration {
	var failed *url.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return 0
	case errors.As(err, &failed) && failed.Timeout():
		return 0
	}
	return never
}

func retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// rejected returns an error if the collector has accepted only a part of the spans. What is
// not JSON is no such answer.
func rejected(answer []byte) error {
	var success struct {
		Partial struct {
			Rejected any    `json:"rejectedSpans"` // a number, or one in a string
			Message  string `json:"errorMessage"`
		} `json:"partialSuccess"`
	}
	if json.Unmarshal(answer, &success) != nil {
		return nil
	}
	p := success.Partial
	if n := fmt.Sprint(p.Rejected); p.Rejected != nil && n != "0" {
		return fmt.Errorf("the collector rejected %s spans: %s", n, p.Message)
	}
	return nil
}
