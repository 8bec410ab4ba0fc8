package test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// request makes a request with header fields given as "Name: value".
func request(t *testing.T, method, url string, body io.Reader, fields ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		name, value, ok := strings.Cut(f, ": ")
		if !ok {
			t.Fatalf("not a header field: %q", f)
		}
		req.Header.Set(name, value)
	}
	return req
}

// ask makes a request and demands one of the given statuses.
func ask(t *testing.T, method, url string, body io.Reader, fields []string, want ...int) Answer {
	t.Helper()
	answer, err := Do(http.DefaultClient, request(t, method, url, body, fields...))
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	demand(t, answer, want...)
	return answer
}

// demand fails the test unless the answer has one of the given statuses, and a
// message if it is a failure.
func demand(t *testing.T, a Answer, want ...int) {
	t.Helper()
	for _, status := range want {
		if a.Status == status {
			if status >= 400 && a.Header != nil {
				demandMessage(t, a)
			}
			return
		}
	}
	t.Fatalf("status %d, want %v; body %q", a.Status, want, a.Body)
}

func demandMessage(t *testing.T, a Answer) {
	t.Helper()
	if a.Header.Get("Content-Length") == "0" {
		t.Errorf("status %d without a message", a.Status)
	}
	if a.Status == http.StatusServiceUnavailable && a.Header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
}

// put sends one chunk and demands one of the given statuses.
func put(t *testing.T, c *Client, r ranges.Range, want ...int) Answer {
	t.Helper()
	answer, err := c.Put(t.Context(), r)
	if err != nil {
		t.Fatalf("chunk %v: %v", r, err)
	}
	demand(t, answer, want...)
	return answer
}

// putAs sends bytes under a Content-Range and further fields of the test's own.
func putAs(t *testing.T, url, body, contentRange string, want ...int) Answer {
	t.Helper()
	return ask(t, http.MethodPut, url, strings.NewReader(body), []string{"Content-Range: " + contentRange}, want...)
}

// status asks what the server has of an upload that is not finished.
func status(t *testing.T, url string) State {
	t.Helper()
	return ask(t, http.MethodGet, url, nil, nil, http.StatusOK).State
}

// received is the set of bytes that the server says it has of an unfinished upload.
func received(t *testing.T, url string) ranges.Set {
	t.Helper()
	set, err := ParseRanges(status(t, url).Received)
	if err != nil {
		t.Fatal(err)
	}
	return set
}
