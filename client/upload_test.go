package client_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holdfast-upload/holdfast"
	"github.com/holdfast-upload/holdfast/client"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// server is a holdfast server over a directory, behind a handler that may inject faults.
type server struct {
	*httptest.Server
	holdfast *holdfast.Server
	fault    atomic.Pointer[func(http.ResponseWriter, *http.Request) bool] // reports whether it has responded
	chunks   atomic.Int64                                                  // requests with bytes of a file
	posts    atomic.Int64
	running  atomic.Int64
	most     atomic.Int64 // chunks at once
}

func newServer(t *testing.T, opts holdfast.Options) *server {
	t.Helper()
	opts.Dir, opts.Log = t.TempDir(), slog.New(slog.DiscardHandler)
	handler, err := holdfast.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{holdfast: handler}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		done, cancel := context.WithCancel(context.Background())
		cancel()
		_ = handler.Shutdown(done)
	})
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut || r.Method == http.MethodPatch {
		s.chunks.Add(1)
		for now := s.running.Add(1); now > s.most.Load(); {
			s.most.Store(now)
		}
		defer s.running.Add(-1)
	}
	if r.Method == http.MethodPost {
		s.posts.Add(1)
	}
	if fault := s.fault.Load(); fault != nil && (*fault)(w, r) {
		return
	}
	s.holdfast.ServeHTTP(w, r)
}

func (s *server) inject(fault func(http.ResponseWriter, *http.Request) bool) { s.fault.Store(&fault) }

func (s *server) collection() string { return s.URL + "/files/" }

// wantFile demands that the upload has exactly the content.
func wantFile(t *testing.T, url string, content []byte) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || sha256.Sum256(got) != sha256.Sum256(content) {
		t.Fatalf("GET %s: %d, %d bytes that are not the %d sent (%v)", url, resp.StatusCode, len(got), len(content), err)
	}
}

func random(seed uint64, n int) []byte {
	var key [32]byte
	key[0] = byte(seed)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return b
}

func writeFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func openFile(t *testing.T, path string) *client.Source {
	t.Helper()
	src, err := client.File(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	return src
}

// stream hides that a reader could be read at any offset.
type stream struct{ io.Reader }

func TestUploadsOfEverySizeAndSourceArriveWhole(t *testing.T) {
	t.Parallel()
	s := newServer(t, holdfast.Options{})
	for _, size := range []int{0, 1, 128 * kib, 256 * kib, 256*kib + 1, 4*mib + 12345} {
		content := random(uint64(size), size)
		for source, src := range map[string]func() *client.Source{
			"file":     func() *client.Source { return openFile(t, writeFile(t, "video.mp4", content)) },
			"readerat": func() *client.Source { return client.ReaderAt(bytes.NewReader(content), int64(size)) },
			"stream":   func() *client.Source { return client.Reader(stream{bytes.NewReader(content)}) },
		} {
			for _, protocol := range []client.Protocol{client.Auto, client.Tus} {
				for _, target := range []string{"", fmt.Sprintf("%s-%d", source, size)} {
					if protocol == client.Tus && target != "" {
						continue // tus creates uploads at the collection only
					}
					name := fmt.Sprintf("%d bytes of a %s by %q to %q", size, source, protocol, target)
					c := client.New(client.Options{Protocol: protocol})
					result, err := c.Upload(t.Context(), s.collection()+target, src(), nil)
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					if result.Size != int64(size) || result.Sent != int64(size) || protocol == client.Auto && !result.Verified {
						t.Errorf("%s: %+v", name, result)
					}
					wantFile(t, result.URL, content)
				}
			}
		}
	}
	if s.most.Load() < 2 {
		t.Errorf("at most %d chunks were sent at once", s.most.Load())
	}
}

func TestNamesAndTypesReachTheServer(t *testing.T) {
	t.Parallel()
	s := newServer(t, holdfast.Options{})
	path := writeFile(t, "Übung \"1\".mp4", random(1, 1000))
	for _, target := range []string{"", "named"} {
		src := openFile(t, path)
		src.Metadata = map[string]string{"album": "Ferien"}
		result, err := client.New(client.Options{}).Upload(t.Context(), s.collection()+target, src, nil)
		if err != nil {
			t.Fatal(err)
		}
		up, err := s.holdfast.Uploads().Get(t.Context(), result.URL[strings.LastIndex(result.URL, "/")+1:])
		if err != nil || up.Filename() != "Übung \"1\".mp4" || up.ContentType() != "video/mp4" {
			t.Errorf("%q, %q, %v", up.Filename(), up.ContentType(), err)
		}
		if target == "" && up.Metadata["album"] != "Ferien" {
			t.Errorf("metadata: %v", up.Metadata)
		}
	}
}

func TestAnotherFileAtTheURLIsFound(t *testing.T) {
	t.Parallel()
	s := newServer(t, holdfast.Options{})
	content, other := random(12, mib), random(13, mib)
	c := client.New(client.Options{})
	if _, err := c.Upload(t.Context(), s.collection()+"taken", client.ReaderAt(bytes.NewReader(content), mib), nil); err != nil {
		t.Fatal(err)
	}
	for name, src := range map[string]*client.Source{
		"of the same size": client.ReaderAt(bytes.NewReader(other), mib),
		"of another size":  client.ReaderAt(bytes.NewReader(other), mib-1),
		"streamed":         client.Reader(stream{bytes.NewReader(other)}),
	} {
		if _, err := c.Upload(t.Context(), s.collection()+"taken", src, nil); !errors.Is(err, client.ErrChecksum) {
			t.Errorf("%s: %v", name, err)
		}
	}
	again, err := c.Upload(t.Context(), s.collection()+"taken", client.ReaderAt(bytes.NewReader(content), mib), nil)
	if err != nil || !again.Verified || again.Sent != 0 {
		t.Errorf("the same file again: %+v, %v", again, err)
	}
	wantFile(t, s.collection()+"taken", content)
}

func TestAFileThatChangesIsNotReportedAsUploaded(t *testing.T) {
	t.Parallel()
	s := newServer(t, holdfast.Options{})
	path := writeFile(t, "growing", random(14, 12*mib))
	var once sync.Once
	c := client.New(client.Options{RateLimit: 12 * mib})
	_, err := c.Upload(t.Context(), s.collection(), openFile(t, path), func(client.Progress) {
		once.Do(func() {
			if err := os.WriteFile(path, random(15, 12*mib), 0o600); err != nil {
				t.Error(err)
			}
		})
	})
	if !errors.Is(err, client.ErrChanged) && !errors.Is(err, client.ErrChecksum) {
		t.Errorf("%v", err)
	}
}

func TestProgressIsReportedToTheEnd(t *testing.T) {
	t.Parallel()
	s := newServer(t, holdfast.Options{})
	var last client.Progress
	running, content := 0, random(19, 4*mib)
	_, err := client.New(client.Options{RateLimit: 4 * mib}).Upload(t.Context(), s.collection(), client.ReaderAt(bytes.NewReader(content), 4*mib),
		func(p client.Progress) {
			if p.Stored < last.Stored || p.Stored+p.InFlight > 4*mib {
				t.Errorf("%+v after %+v", p, last)
			}
			if p.InFlight > 0 {
				running++
			}
			last = p
		})
	if err != nil || last.Stored != 4*mib || last.Size != 4*mib || last.InFlight != 0 || running == 0 {
		t.Errorf("%+v, %v, %d reports in between", last, err, running)
	}
}
