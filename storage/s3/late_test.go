package s3

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// An S3 server that does not implement If-None-Match strictly lets two concurrent creations
// both write: whichever record stays, the event is delivered.
func TestTheEventOfAnUploadWhoseRecordWasWrittenTwiceIsDelivered(t *testing.T) {
	opts := bucket(t)
	for name, long := range map[string]int{"short": 0, "long": 4000} {
		for size, what := range map[int64]string{200_000: "one part", threeCells: "three parts"} {
			t.Run(name+" record, "+what, func(t *testing.T) {
				n, other := startNode(t, opts), startNode(t, opts)
				c := &phone{t: t, node: n, data: storagetest.Content(5, size)}
				rec := storage.Record{ID: storage.NewID(), Size: size, Metadata: map[string]string{"long": strings.Repeat("x", long)}}
				c.create(rec)
				c.send(ranges.Of(0, 100))
				rec.Created, rec.ClientChosenID = time.Now().UTC().Add(time.Second), true
				text, err := json.Marshal(rec)
				if err != nil {
					t.Fatal(err)
				}
				if err := n.store.client.Put(t.Context(), api.JSONObject(n.store.liveKey(c.id, "record"), text)); err != nil {
					t.Fatal(err)
				}
				c.send(ranges.Range{Start: 100, End: size})
				if n.delivered[c.id] != 1 {
					t.Errorf("the event was delivered %d times", n.delivered[c.id])
				}
				// Simulate that the node which finished it died before it delivered the
				// event: restore the record, and remove the done object.
				if err := n.store.client.Remove(t.Context(), n.store.doneKey(c.id)); err != nil {
					t.Fatal(err)
				}
				if err := n.store.client.Put(t.Context(), api.JSONObject(n.store.liveKey(c.id, "record"), text)); err != nil {
					t.Fatal(err)
				}
				if err := other.Sweep(t.Context()); err != nil {
					t.Errorf("sweep: %v", err)
				}
				if other.delivered[c.id] != 1 {
					t.Errorf("the event was delivered %d times by another node", other.delivered[c.id])
				}
				c.wantFile(other)
			})
		}
	}
}

// A node that lost its lease may store a fragment after the upload is finished.
func TestALateFragmentIsRemovedByTheNextLoad(t *testing.T) {
	opts := bucket(t)
	zombie, n := startNode(t, opts), startNode(t, opts)
	c := begunOn(t, n)
	if _, err := zombie.Get(t.Context(), c.id); err != nil {
		t.Fatal(err)
	}
	c.send(whole)
	c.finish()
	late := storage.Chunk{Offset: 10, Length: 500, Body: bytes.NewReader(c.data[10:510])}
	known, err := zombie.store.Load(t.Context(), c.id)
	if err != nil {
		t.Fatal(err)
	}
	known.Finished, known.Received = false, ranges.Set{} // as it was before
	if err := zombie.store.Write(t.Context(), known, late, func(p storage.Extent) storage.Upload {
		known.Add(p)
		return known.Clone()
	}); err != nil {
		t.Errorf("write: %v", err)
	}
	if err := n.store.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if listed, err := n.store.list(t.Context(), c.id); err != nil || len(listed.fragments) != 1 {
		t.Fatalf("%d late fragments, want 1; %v", len(listed.fragments), err)
	}
	c.wantFile(startNode(t, opts))
	wantOnly(t, n.store, n.store.fileKey(known.Record))
}

// If two nodes complete a multipart upload while a part is being uploaded, the second may
// find both the file and the multipart upload.
func TestAMultipartUploadBesideItsFileIsAborted(t *testing.T) {
	n := startNode(t, bucket(t))
	c := begunOn(t, n)
	putFile(t, n, c, c.data)
	c.goOn(n)
	c.wantFile(n)
	wantOnly(t, n.store, c.id)
}

// A server that recreates a multipart upload for a part that comes while it is completed
// may do so when no upload needs it any more. The sweep finds it, although the layout that
// refers to it is still there.
func TestASweepAbortsAMultipartUploadBesideItsFile(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	c := begunOn(t, n)
	c.send(ranges.Of(0, layout.MinPart))
	putFile(t, n, c, c.data)
	other := startNode(t, opts)
	other.sweepLater(t)
	if keys, multiparts := leftIn(t, n.store); len(multiparts) > 0 {
		t.Errorf("multipart uploads %v are left beside %v", multiparts, keys)
	}
	c.wantFile(other)
}

// An object of another size under the key of an upload is not its file: the parts stay.
func TestCleanKeepsTheMultipartUploadBesideWhatIsNotItsFile(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	c := begunOn(t, n)
	c.send(ranges.Of(0, layout.MinPart))
	putFile(t, n, c, c.data[:1000])
	other := startNode(t, opts)
	if err := other.store.Clean(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, multiparts := leftIn(t, n.store); len(multiparts) != 1 {
		t.Errorf("multipart uploads %v are left, want one", multiparts)
	}
	c.check(other)
}

// putFile stores a file with data for an upload that has a multipart upload.
func putFile(t *testing.T, n *node, c *phone, data []byte) {
	t.Helper()
	up, err := n.store.Load(t.Context(), c.id)
	if err != nil {
		t.Fatal(err)
	}
	o, err := n.store.file(up.Record)
	if err != nil {
		t.Fatal(err)
	}
	o.Body, o.Size, o.Sum = bytes.NewReader(data), int64(len(data)), crc32c.Of(data)
	if err := n.store.client.Put(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// A node with stale state creates a multipart upload after the upload is finished, and
// then finds no fragments for it.
func TestAMultipartUploadCreatedTooLateIsAborted(t *testing.T) {
	opts := bucket(t)
	n, late := startNode(t, opts), startNode(t, opts)
	c := begunOn(t, n)
	c.send(ranges.Of(0, 100))
	if _, err := late.Get(t.Context(), c.id); err != nil {
		t.Fatal(err)
	}
	c.send(ranges.Range{Start: 100, End: threeCells})
	if _, err := late.Write(t.Context(), c.id, chunk(c.data, ranges.Range{Start: 100, End: threeCells})); err != nil {
		t.Errorf("write what is there: %v", err)
	}
	if late.wire.calls()["begin"] == 0 {
		t.Error("no multipart upload was created")
	}
	c.wantFile(late)
	wantOnly(t, n.store, c.id)
}

// Only the record has a custom key: a deletion that finds the record removed, because the
// event has just been delivered, must get the key from the done object.
func TestADeletionDuringARetirementLeavesNoFile(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	up, err := n.Create(t.Context(), storage.Record{Size: 1000, Key: "videos/one.mp4"})
	if err != nil {
		t.Fatal(err)
	}
	before, err := n.store.list(t.Context(), up.ID)
	if err != nil || !before.record {
		t.Fatalf("record %v, %v", before.record, err)
	}
	if _, err := n.Write(t.Context(), up.ID, storage.Chunk{Length: 1000, Body: zeroes(1000)}); err != nil {
		t.Fatal(err)
	}
	if err := n.store.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rec, _, err := n.store.recordFor(t.Context(), up.ID, before); !errors.Is(err, api.ErrMissing) {
		t.Errorf("by a listing from before the delivery: %v, key %q", err, rec.Key)
	}
	if err := n.Delete(t.Context(), up.ID); err != nil {
		t.Errorf("delete: %v", err)
	}
	wantOnly(t, n.store, n.store.liveKey(up.ID, "gone"))
}

// A blocking hook before the finish must not find a file yet.
func TestDeferFileCreatesNoFileBeforeFinish(t *testing.T) {
	opts := bucket(t)
	opts.DeferFile = true
	for _, size := range []int64{1, 200_000, layout.MinPart, threeCells} {
		store := mustOpen(t, opts)
		data := storagetest.Content(1, size)
		rec := storage.Record{ID: storage.NewID(), Size: size, Created: time.Now().UTC()}
		if err := store.Create(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		up := storage.Upload{Record: rec}
		chunk := storage.Chunk{Length: size, Body: bytes.NewReader(data)}
		if err := store.Write(t.Context(), up.Clone(), chunk, func(p storage.Extent) storage.Upload {
			up.Add(p)
			return up.Clone()
		}); err != nil {
			t.Fatalf("write: %v", err)
		}
		if now, err := store.Load(t.Context(), rec.ID); err != nil || now.Finished || !now.Complete() {
			t.Errorf("%d bytes: %v, finished %v, received %v", size, err, now.Finished, now.Received)
		}
		if _, err := store.Finish(t.Context(), up); err != nil {
			t.Errorf("finish: %v", err)
		}
		wantContent(t, store, up, data)
	}
}

func wantContent(t *testing.T, s *Store, up storage.Upload, data []byte) {
	t.Helper()
	file, err := s.Open(context.Background(), up, 0)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	defer file.Close()
	if got, err := io.ReadAll(file); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d of %d bytes are right, %v", len(got), len(data), err)
	}
}

// lateEnd is a source that returns EOF only on a separate read, like an
// HTTP/2 body.
type lateEnd struct {
	io.Reader
}

// Length returns the number of bytes that the source has.
func TestChunksThatEndAtTheEndOfABlockAreStoredCorrectly(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	c := &phone{t: t, node: n, data: storagetest.Content(3, 8*layout.MiB)}
	c.create(storage.Record{Size: 8 * layout.MiB})
	for at := int64(0); at < 8*layout.MiB; at += layout.MiB {
		if _, err := n.Write(t.Context(), c.id, storage.Chunk{Offset: at, Length: layout.MiB, Body: lateEnd{bytes.NewReader(c.data[at : at+layout.MiB])}}); err != nil {
			t.Fatalf("at %d: %v", at, err)
		}
	}
	c.wantFile(startNode(t, opts))
}
