package transport_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// openCounter counts how often files are opened, which is a request each on S3.
type openCounter struct {
	*storagetest.Memory
	opened int
}

func (s *openCounter) Open(ctx context.Context, up storage.Upload, offset int64) (io.ReadCloser, error) {
	s.opened++
	return s.Memory.Open(ctx, up, offset)
}

// A Range of more than a handful of ranges, or of overlapping ones, is answered with the
// whole file, as RFC 9110, section 14.2, suggests: each range costs a request to the store.
func TestADownloadOfManyRangesIsTheWholeFile(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 1000)
	store := &openCounter{Memory: storagetest.NewMemory(4096)}
	uploads := storage.New(store, new(storage.MemoryLocker), new(storage.MemoryCache), storage.Options{Log: slog.New(slog.DiscardHandler)})
	if _, err := uploads.Create(t.Context(), storage.Record{ID: "it", Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	up, err := uploads.Write(t.Context(), "it", storage.Chunk{Body: bytes.NewReader(content)})
	if err != nil {
		t.Fatal(err)
	}
	each := func(n, step int) string {
		var specs []string
		for i := range n {
			specs = append(specs, fmt.Sprintf("%d-%d", i*step, i*step))
		}
		return "bytes=" + strings.Join(specs, ",")
	}
	for _, c := range []struct {
		header string
		want   int
		length int // of a single range
	}{
		{each(3000, 3), http.StatusOK, len(content)},
		{each(9, 1000), http.StatusOK, len(content)},
		{each(8, 1000), http.StatusPartialContent, 0},
		{"bytes=0-99,50-60", http.StatusOK, len(content)},
		{"bytes=0-99,50-", http.StatusOK, len(content)},
		{"bytes=-10,9995-9996", http.StatusOK, len(content)},
		{"bytes=0-99,0-99", http.StatusOK, len(content)},
		{"bytes=" + strings.Repeat(",", 5000), http.StatusOK, len(content)},
		{"bytes=0-99, 100-199 ,,-10", http.StatusPartialContent, 0},
		{"bytes=5-9", http.StatusPartialContent, 5},
		{"bytes=-20000", http.StatusPartialContent, len(content)},
		{"bytes=9990-9223372036854775807", http.StatusPartialContent, 10},
		{"bytes=9-5", http.StatusRequestedRangeNotSatisfiable, 0},
		{"bytes=20000-", http.StatusRequestedRangeNotSatisfiable, 0},
		{"lines=1-2", http.StatusRequestedRangeNotSatisfiable, 0},
	} {
		store.opened = 0
		r := httptest.NewRequest(http.MethodGet, "/files/it", nil)
		r.Header.Set("Range", c.header)
		w := httptest.NewRecorder()
		if err := transport.ServeFile(w, r, uploads, up); err != nil {
			t.Fatal(err)
		}
		if w.Code != c.want || store.opened > 8 || c.length > 0 && w.Body.Len() != c.length {
			t.Errorf("%.50s: status %d with %d bytes, %d requests to the store", c.header, w.Code, w.Body.Len(), store.opened)
		}
		if r.Header.Get("Range") != c.header {
			t.Errorf("%.50s: the request was changed", c.header)
		}
	}
}
