package instrument_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/instrument"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestS3ErrorsExcludeExpectedStatuses(t *testing.T) {
	m := instrument.New("test")
	status := 0
	send := m.S3()(roundTripper(func(*http.Request) (*http.Response, error) {
		if status == 0 {
			return nil, io.ErrUnexpectedEOF
		}
		return &http.Response{StatusCode: status, Body: http.NoBody}, nil
	}))
	errs := 0.0
	for _, c := range []struct {
		status int
		fails  bool
	}{{200, false}, {206, false}, {304, false}, {404, false}, {409, false}, {412, false}, {416, false}, {0, true}, {400, true}, {403, true}, {500, true}, {503, true}} {
		status = c.status
		answer, err := send.RoundTrip(httptest.NewRequest("GET", "http://s3/bucket/key", nil))
		if (err != nil) != (status == 0) {
			t.Fatalf("status %d: %v", status, err)
		}
		if err == nil {
			answer.Body.Close()
		}
		if c.fails {
			errs++
		}
		want(t, m, errs, "holdfast_s3_errors_total")
	}
	want(t, m, 12, "holdfast_s3_operations_total", "other")
	want(t, m, 12, "holdfast_s3_operation_duration_seconds")
}

func TestUnknownMethodsShareOneLabel(t *testing.T) {
	m := instrument.New("test")
	for _, method := range []string{"GET", "BREW", "WHEN", "get"} {
		m.Request("tus").End(method, 405, "methodNotAllowed", time.Millisecond)
	}
	m.Request("").End("PUT", 0, "", time.Millisecond)
	want(t, m, 3, "holdfast_http_requests_total", "other", "4xx", "tus")
	want(t, m, 1, "holdfast_http_requests_total", "GET")
	want(t, m, 1, "holdfast_http_requests_total", "none", "PUT")
	want(t, m, 0, "holdfast_http_requests_in_flight")
}

func TestHookMetrics(t *testing.T) {
	m := instrument.New("test")
	want(t, m, 0, "holdfast_deliveries_delivered_total")
	m.Hooks(func() instrument.Hooks { return instrument.Hooks{Pending: 1, Delivered: 3, DeadLettered: 4} })
	for name, n := range map[string]float64{"pending": 1, "delivered_total": 3, "dead_lettered_total": 4} {
		want(t, m, n, "holdfast_deliveries_"+name)
	}
}

// everything returns a Metrics with a sample in each family.
func everything() *instrument.Metrics {
	m := instrument.New("v1.2.3")
	for _, e := range []storage.EventType{storage.Created, storage.Finished, storage.Deleted, storage.Expired} {
		m.Upload(storage.Event{Type: e, Local: true}, "tus")
	}
	r := m.Request("tus")
	r.BytesIn(1)
	r.BytesOut(1)
	r.End("PUT", 200, "", time.Second)
	_, end := m.Redis()(context.Background(), "get")
	end(errors.New("not there"))
	_, _ = m.S3()(roundTripper(func(*http.Request) (*http.Response, error) { return nil, io.EOF })).RoundTrip(httptest.NewRequest("GET", "/", nil))
	m.Memory(func() (int64, int64, int64) { return 1, 2, 3 })
	m.RedisUp(func() bool { return true })
	m.Hooks(func() instrument.Hooks { return instrument.Hooks{} })
	_, _ = m.Cache(new(storage.MemoryCache)).Get(context.Background(), "it")
	s := m.Store(failing{})
	_ = s.Write(context.Background(), storage.Upload{}, storage.Chunk{}, func(storage.Extent) storage.Upload { return storage.Upload{} })
	return m
}

// failing is a store that stores a byte and then fails.
type failing struct{ storage.Store }

func (failing) Write(_ context.Context, _ storage.Upload, _ storage.Chunk, stored func(storage.Extent) storage.Upload) error {
	p := storage.Extent{}
	p.End = 1
	stored(p)
	return storage.ErrUnavailable
}

func TestMetricsFollowTheConventions(t *testing.T) {
	problems, err := testutil.GatherAndLint(everything().Gatherer())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
