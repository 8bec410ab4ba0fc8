package s3

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// headers records a header of all requests that store something, by the key.
type headers struct {
	mu   sync.Mutex
	name string
	with map[string]string
}

// RoundTrip implements http.RoundTripper.
func (h *headers) RoundTrip(r *http.Request) (*http.Response, error) {
	if q := r.URL.Query(); r.Method == http.MethodPut && !q.Has("uploadId") || q.Has("uploads") && r.Method == http.MethodPost {
		h.mu.Lock()
		h.with[r.URL.Path] = r.Header.Get(h.name)
		h.mu.Unlock()
	}
	return plain.RoundTrip(r)
}

// The storage class is that of finished files only: fragments and state are read and removed
// soon, which some classes make slow or expensive.
func TestStorageClassIsThatOfFinishedFilesOnly(t *testing.T) {
	opts := bucket(t)
	opts.CreateBucket = true
	h := &headers{name: "X-Amz-Storage-Class", with: map[string]string{}}
	opts.Middleware, opts.StorageClass = func(http.RoundTripper) http.RoundTripper { return h }, "STANDARD_IA"
	s := mustOpen(t, opts)
	n := &node{store: s, wire: newWire(), delivered: map[string]int{}}
	n.Uploads = n.core(new(storage.MemoryCache))
	for _, size := range []int64{1000, 2*layout.MinPart + 1000} {
		c := &phone{t: t, node: n, data: storagetest.Content(7, size)}
		c.create(storage.Record{Size: size})
		c.send(ranges.Of(0, 500))
		c.send(ranges.Range{Start: 500, End: size})
		c.finish()
	}
	files := 0
	for path, class := range h.with {
		isFile := !strings.Contains(path, ".holdfast/") && strings.Count(path, "/") > 1
		if isFile {
			files++
		}
		if want := map[bool]string{true: "STANDARD_IA"}[isFile]; class != want {
			t.Errorf("%s is stored with class %q, want %q", path, class, want)
		}
	}
	if files != 2 || len(h.with) < 6 {
		t.Errorf("only these were stored: %v", h.with)
	}
}
