package s3

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// A multipart upload that something else has aborted is named in the log, once. Until it is
// certain, clients come back later, and sweeps do not fail: another node may be completing it.
func TestF38AMultipartUploadAbortedByOthersIsNamedInTheLog(t *testing.T) {
	opts := bucket(t)
	var log bytes.Buffer
	opts.Log, opts.lostGrace = slog.New(slog.NewTextHandler(&log, nil)), time.Hour
	n := startNode(t, opts)
	c := &phone{t: t, node: n, data: storagetest.Content(7, 2*layout.MinPart+1000)}
	c.create(storage.Record{Size: 2*layout.MinPart + 1000})
	c.send(ranges.Of(0, layout.MinPart))
	up, err := n.Get(t.Context(), c.id)
	if err != nil {
		t.Fatal(err)
	}
	l, _ := n.store.layoutOf(up)
	if err := n.store.client.Abort(t.Context(), n.store.fileKey(up.Record), l.UploadID); err != nil {
		t.Fatal(err)
	}
	lost := func() {
		t.Helper()
		if _, err := n.store.Load(t.Context(), c.id); !storage.Transient(err) || !errors.Is(err, storage.ErrCompleting) {
			t.Errorf("load: %v", err)
		}
	}
	lost()
	if log.Len() > 0 {
		t.Errorf("at once the log says %s", log.String())
	}
	if err := n.Sweep(t.Context()); err != nil {
		t.Errorf("sweep: %v", err)
	}
	n.store.mu.Lock()
	n.store.missing[c.id] = time.Now().Add(-10 * time.Minute)
	n.store.mu.Unlock()
	lost()
	lost()
	if text := log.String(); strings.Count(text, "lifecycle rule") != 1 || !strings.Contains(text, c.id) {
		t.Errorf("the log says %q", text)
	}
	n.store.mu.Lock()
	n.store.missing[c.id] = time.Now().Add(-2 * time.Hour)
	n.store.mu.Unlock()
	if _, err := n.store.Load(t.Context(), c.id); !errors.Is(err, storage.ErrGone) || storage.Transient(err) {
		t.Errorf("load after the grace period: %v", err)
	}
}
