package s3

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
	"github.com/holdfast-upload/holdfast/test/servers"
)

var buckets atomic.Int32

// useKeys puts the credentials of the test server into the environment, where the SDK finds
// them as in production.
func useKeys(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", servers.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", servers.SecretKey)
	t.Setenv("AWS_CA_BUNDLE", "") // each node would parse it again
}

// options returns the options for a new bucket on the server.
func options(endpoint string) Options {
	return Options{
		Bucket: fmt.Sprintf("bucket-%d-%d", os.Getpid(), buckets.Add(1)), Endpoint: endpoint, PathStyle: true,
		CreateBucket: true, Memory: 64 * layout.MiB, assume: &api.AllAbilities, partSize: layout.MinPart, longestPause: 5 * time.Millisecond,
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

// wantMemoryBack checks that all memory blocks are free once the tail cache is dropped.
func wantMemoryBack(t *testing.T, s *Store) {
	t.Helper()
	s.tailCache.dropBefore(time.Now().Add(time.Hour))
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	if total := int(s.opts.Memory / blockSize); s.budget.left+len(s.budget.free) != total {
		t.Errorf("of %d memory blocks %d are free", total, s.budget.left+len(s.budget.free))
	}
}

// moveFile removes the file of an upload, as an app that moves it does.
func moveFile(t *testing.T, opts Options, up storage.Upload) {
	t.Helper()
	s := mustOpen(t, opts)
	if _, err := s.client.Head(t.Context(), s.fileKey(up.Record)); err != nil {
		t.Errorf("no file of %s to move: %v", up.ID, err)
	}
	if err := s.client.Remove(t.Context(), s.fileKey(up.Record)); err != nil {
		t.Errorf("move the file of %s: %v", up.ID, err)
	}
}

func TestS3ImplementsStore(t *testing.T) {
	useKeys(t)
	endpoint := servers.S3(t).URL("http")
	for _, c := range []struct {
		name      string
		size      int64
		deferFile bool
		key       func(id string) string
	}{
		{name: "one part", size: 200_003},
		{name: "three parts", size: 2*layout.MinPart + 100_003},
		{name: "deferred until Finish, with custom keys", size: 200_003, deferFile: true,
			key: func(id string) string { return "videos/" + id + "/ä (1).mp4" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			storagetest.TestStore(t, func(t *testing.T) storagetest.Harness {
				opts := options(endpoint)
				opts.DeferFile = c.deferFile
				open := func() storage.Store { return mustOpen(t, opts) }
				left := func(id string) []string { return leftOf(t, open().(*Store), id) }
				return storagetest.Harness{Open: open, Node: open, Size: c.size, Key: c.key, Left: left, Move: func(up storage.Upload) { moveFile(t, opts, up) }}
			})
		})
	}
}

// leftOf lists the objects and multipart uploads of an upload, except its deletion mark and
// needless objects.
func leftOf(t *testing.T, s *Store, id string) (left []string) {
	t.Helper()
	keys, multiparts := leftIn(t, s)
	up, _ := s.Load(t.Context(), id) // returns a deleted upload too while its event is pending
	for _, key := range slices.Concat(keys, multiparts) {
		if up.Deleted && key == s.liveKey(id, "record") {
			continue // the record stays until the event is delivered
		}
		if strings.Contains(key, id) && key != s.liveKey(id, "gone") {
			left = append(left, key)
		}
	}
	return left
}
