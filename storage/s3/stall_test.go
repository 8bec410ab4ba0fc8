package s3

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// stallingS3 is an S3 whose first responses to an operation stall in the middle of the body.
type stallingS3 struct {
	op string

	mu    sync.Mutex
	times int // how many responses still stall
}

// RoundTrip implements http.RoundTripper.
func (s *stallingS3) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := plain.RoundTrip(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && operation(r) == s.op && s.times > 0 {
		s.times--
		half := io.LimitReader(resp.Body, resp.ContentLength/2)
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(half, untilDone{r}), resp.Body}
	}
	return resp, err
}

// untilDone is a reader that blocks until the request is cancelled.
type untilDone struct{ r *http.Request }

// Read implements io.Reader.
func (u untilDone) Read([]byte) (int, error) {
	<-u.r.Context().Done()
	return 0, u.r.Context().Err()
}

func TestARequestWhoseResponseStallsIsRetried(t *testing.T) {
	opts := bucket(t)
	c := &phone{t: t, node: startNode(t, opts), data: storagetest.Content(7, twoCells)}
	c.create(storage.Record{Size: twoCells})
	c.send(ranges.Of(0, layout.MinPart+1000))
	opts.patience = 3 * time.Second
	for _, op := range []string{"list", "get layout", "list parts", "get record"} {
		n := startNode(t, opts)
		n.wire.next = &stallingS3{op: op, times: 1}
		up, err := n.store.Load(t.Context(), c.id)
		if err != nil || up.Offset() != layout.MinPart+1000 {
			t.Errorf("%s: offset %d, %v", op, up.Offset(), err)
		}
	}
}

func TestAStalledFileReadFailsWithATransientError(t *testing.T) {
	opts := bucket(t)
	c := &phone{t: t, node: startNode(t, opts), data: storagetest.Content(7, twoCells)}
	c.create(storage.Record{Size: twoCells})
	c.send(ranges.Of(0, 3000))
	opts.patience = time.Second
	n := startNode(t, opts)
	n.wire.next = &stallingS3{op: "get fragment", times: 1}
	up := mustLoad(t, n, c.id)
	if _, err := n.store.assemble(t.Context(), up, ranges.Of(0, 3000), ranges.Set{}, nil); !storage.Transient(err) {
		t.Errorf("a fragment: %v, want a transient error", err)
	}
	c.send(ranges.Of(0, twoCells))
	c.finish()
	n.wire.next = &stallingS3{op: "get file", times: 1}
	body, err := n.store.Open(t.Context(), mustLoad(t, n, c.id), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if !api.IsStalled(err) || !storage.Transient(err) || !bytes.Equal(text, c.data[:len(text)]) {
		t.Errorf("the file, after %d bytes: %v", len(text), err)
	}
}

// conflict is an S3 over a file system that answers the first op with the error of a directory
// which another request is removing.
type conflict struct {
	op   string
	once sync.Once
}

// RoundTrip implements http.RoundTripper.
func (c *conflict) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	if operation(r) == c.op {
		c.once.Do(func() {
			resp = refusal(r, http.StatusConflict)
			resp.Body = io.NopCloser(strings.NewReader("<Error><Code>ExistingObjectIsDirectory</Code></Error>"))
		})
	}
	if resp != nil {
		return resp, nil
	}
	return plain.RoundTrip(r)
}

func TestAPutThatRacesWithTheRemovalOfItsDirectoryIsRetried(t *testing.T) {
	for _, op := range []string{"put claim", "put record"} {
		n := startNode(t, bucket(t))
		n.wire.next = &conflict{op: op}
		if _, err := n.Create(t.Context(), storage.Record{Key: "videos/it.mp4", Size: 1}); err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
}
