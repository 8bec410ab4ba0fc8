package s3

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
	"github.com/holdfast-upload/holdfast/test/servers"
)

var buckets atomic.Int32

// useKeys makes the SDK find the credentials of the test server, as it finds them
// in production.
func useKeys(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", servers.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", servers.SecretKey)
}

// options are those of an empty bucket on the server.
func options(endpoint string) Options {
	return Options{
		Bucket: fmt.Sprintf("bucket-%d", buckets.Add(1)), Endpoint: endpoint, PathStyle: true,
		CreateBucket: true, Memory: 64 * mib, partSize: minPart, longestPause: 5 * time.Millisecond,
		Middleware: func(http.RoundTripper) http.RoundTripper { return plain },
	}
}

func mustOpen(t *testing.T, opts Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { wantMemoryBack(t, s) })
	return s
}

// wantMemoryBack checks that all blocks of memory are free that are not in use for
// the ends of chunks.
func wantMemoryBack(t *testing.T, s *Store) {
	t.Helper()
	s.tailCache.dropBefore(time.Now().Add(time.Hour))
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	if whole := int(s.opts.Memory / blockSize); s.budget.left+len(s.budget.free) != whole {
		t.Errorf("of %d blocks of memory %d are free", whole, s.budget.left+len(s.budget.free))
	}
}

// moveFile takes the file of an upload away, as the app does.
func moveFile(t *testing.T, opts Options, up storage.Upload) {
	t.Helper()
	s := mustOpen(t, opts)
	if _, err := s.client.head(t.Context(), s.fileKey(up.Record)); err != nil {
		t.Errorf("there is no file of %s to move: %v", up.ID, err)
	}
	if err := s.client.remove(t.Context(), s.fileKey(up.Record)); err != nil {
		t.Errorf("move the file of %s: %v", up.ID, err)
	}
}

func TestS3KeepsThePromisesOfAStore(t *testing.T) {
	useKeys(t)
	endpoint := servers.S3(t).URL("http")
	for _, c := range []struct {
		name string
		size int64
		hold bool
		key  func(id string) string
	}{
		{name: "one cell", size: 200_003},
		{name: "three cells", size: 2*minPart + 100_003},
		{name: "held until Finish, with keys of their own", size: 200_003, hold: true,
			key: func(id string) string { return "videos/" + id + "/ä (1).mp4" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			storagetest.TestStore(t, func(t *testing.T) storagetest.Harness {
				opts := options(endpoint)
				opts.DeferFile = c.hold
				open := func() storage.Store { return mustOpen(t, opts) }
				left := func(id string) []string { return leftOf(t, open().(*Store), id) }
				return storagetest.Harness{Open: open, Node: open, Size: c.size, Key: c.key, Left: left, Move: func(up storage.Upload) { moveFile(t, opts, up) }}
			})
		})
	}
}

// leftOf lists the objects and multipart uploads of an upload, but for the mark that it is
// gone. What is needless is not removed at once, but goes with the upload.
func leftOf(t *testing.T, s *Store, id string) (left []string) {
	t.Helper()
	keys, multiparts := leftIn(t, s)
	up, _ := s.Load(t.Context(), id) // one that is gone is returned while its event is pending
	for _, key := range slices.Concat(keys, multiparts) {
		if up.Deleted && key == s.liveKey(id, "record") {
			continue // it stays until the event is delivered
		}
		if strings.Contains(key, id) && key != s.liveKey(id, "gone") {
			left = append(left, key)
		}
	}
	return left
}
