package client_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast"
	"github.com/holdfast-upload/holdfast/client"
)

// flaky makes each n-th chunk fail, in one of several ways.
func flaky(n int64) func(http.ResponseWriter, *http.Request) bool {
	var count atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) bool {
		i := count.Add(1)
		if r.Method != http.MethodPut && r.Method != http.MethodPatch || i%n != 0 {
			return false
		}
		switch i / n % 3 {
		case 0: // the connection breaks in the middle
			_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
			panic(http.ErrAbortHandler)
		case 1:
			w.Header().Set("Retry-After", "0")
			http.Error(w, "later", http.StatusServiceUnavailable)
		case 2: // a proxy that cuts requests off
			_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/3)
			http.Error(w, "bad gateway", http.StatusBadGateway)
		}
		return true
	}
}

func TestFailedChunksAreSentAgain(t *testing.T) {
	t.Parallel()
	content := random(7, 2*mib+17)
	for _, protocol := range []client.Protocol{client.Auto, client.Tus} {
		for _, streamed := range []bool{false, true} {
			s := newServer(t, holdfast.Options{})
			s.inject(flaky(7))
			src := client.ReaderAt(bytes.NewReader(content), int64(len(content)))
			if streamed {
				src = client.Reader(stream{bytes.NewReader(content)})
			}
			c := client.New(client.Options{Protocol: protocol, MinChunk: 64 * kib, MaxChunk: 512 * kib})
			result, err := c.Upload(t.Context(), s.collection(), src, nil)
			if err != nil || result.Retries == 0 {
				t.Fatalf("%q: %+v, %v", protocol, result, err)
			}
			wantFile(t, result.URL, content)
		}
	}
}

// A response that is lost after the server has stored the chunk, or completed the file.
func TestLostResponsesCostNothingTwice(t *testing.T) {
	t.Parallel()
	s := newServer(t, holdfast.Options{})
	var puts atomic.Int64
	s.inject(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || puts.Add(1)%3 != 0 {
			return false
		}
		s.holdfast.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	})
	content := random(8, 3*mib)
	result, err := client.New(client.Options{}).Upload(t.Context(), s.collection()+"lost", client.ReaderAt(bytes.NewReader(content), int64(len(content))), nil)
	if err != nil || !result.Verified {
		t.Fatalf("%+v, %v", result, err)
	}
	if result.Sent > int64(len(content)) {
		t.Errorf("%d bytes were sent for %d", result.Sent, len(content))
	}
	wantFile(t, result.URL, content)
}

func TestRefusalsEndTheUploadAtOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t, holdfast.Options{MaxSize: mib})
	c := client.New(client.Options{})
	big := client.ReaderAt(bytes.NewReader(random(16, 2*mib)), 2*mib)
	if _, err := c.Upload(t.Context(), s.collection(), big, nil); err == nil || !strings.Contains(err.Error(), "at most 1048576") {
		t.Errorf("a file that is too large: %v", err)
	}
	refused := newServer(t, holdfast.Options{})
	refused.inject(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodOptions {
			return false
		}
		http.Error(w, "not you", http.StatusForbidden)
		return true
	})
	for _, target := range []string{"", "mine"} {
		_, err := c.Upload(t.Context(), refused.collection()+target, client.ReaderAt(strings.NewReader("x"), 1), nil)
		var status *client.StatusError
		if !errors.As(err, &status) || status.Status != http.StatusForbidden || status.Message != "not you" {
			t.Errorf("%v", err)
		}
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	if _, err := c.Upload(t.Context(), plain.URL, client.ReaderAt(strings.NewReader("x"), 1), nil); err == nil {
		t.Error("a server that takes no uploads is not noticed")
	}
}

func TestTheUploadGivesUpWithoutProgress(t *testing.T) {
	t.Parallel()
	s := newServer(t, holdfast.Options{})
	s.inject(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		http.Error(w, "never", http.StatusServiceUnavailable)
		return true
	})
	c := client.New(client.Options{GiveUpAfter: time.Second})
	_, err := c.Upload(t.Context(), s.collection()+"stuck", client.ReaderAt(strings.NewReader("x"), 1), nil)
	var status *client.StatusError
	if !errors.Is(err, client.ErrGaveUp) || !errors.As(err, &status) || status.Status != http.StatusServiceUnavailable {
		t.Errorf("%v", err)
	}
}

func TestAConnectionThatStopsMovingIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newServer(t, holdfast.Options{})
	var puts atomic.Int64
	ended := make(chan struct{})
	defer close(ended)
	s.inject(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || puts.Add(1) != 1 {
			return false
		}
		<-ended
		return true
	})
	c := client.New(client.Options{IdleTimeout: 500 * time.Millisecond})
	content := random(17, mib)
	result, err := c.Upload(t.Context(), s.collection()+"stalled", client.ReaderAt(bytes.NewReader(content), mib), nil)
	if err != nil || result.Retries == 0 {
		t.Fatalf("%+v, %v", result, err)
	}
	wantFile(t, result.URL, content)
}

func TestChunksShrinkBelowTheLimitOfAProxy(t *testing.T) {
	t.Parallel()
	for _, protocol := range []client.Protocol{client.Auto, client.Tus} {
		s := newServer(t, holdfast.Options{})
		s.inject(func(w http.ResponseWriter, r *http.Request) bool {
			if r.ContentLength <= 200*kib {
				return false
			}
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return true
		})
		content := random(18, 2*mib)
		result, err := client.New(client.Options{Protocol: protocol}).Upload(t.Context(), s.collection(), client.ReaderAt(bytes.NewReader(content), 2*mib), nil)
		if err != nil {
			t.Fatalf("%q: %v", protocol, err)
		}
		wantFile(t, result.URL, content)
	}
}
