package s3

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// completedUpload completes an upload with a client-chosen id, and removes its file as an app
// that moves it does. It returns also the upload's state before its last bytes.
func completedUpload(t *testing.T, opts Options, rec storage.Record) (*phone, storage.Upload) {
	t.Helper()
	n := startNode(t, opts)
	c := &phone{t: t, node: n, data: storagetest.Content(1, rec.Size)}
	c.create(rec)
	c.send(ranges.Of(0, 100))
	before, err := n.store.Load(t.Context(), c.id)
	if err != nil {
		t.Fatal(err)
	}
	c.send(ranges.Range{Start: 100, End: rec.Size})
	c.finish()
	if err := n.store.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := n.store.client.Remove(t.Context(), n.store.fileKey(rec), n.store.doneKey(rec.ID)); err != nil {
		t.Fatal(err)
	}
	return c, before
}

// A process that was suspended continues its write after the upload is over, and its id may be
// another upload's.
func TestALateWriteDoesNotAffectTheNextUploadWithTheSameID(t *testing.T) {
	rec := storage.Record{ID: "it", Size: threeCells, Owner: "one", Metadata: map[string]string{"filename": "old"}}
	next := storage.Record{ID: "it", Size: threeCells, Owner: "two", Metadata: map[string]string{"filename": "new"}}
	for _, when := range []string{"before the next is created", "after the next is created"} {
		t.Run(when, func(t *testing.T) {
			opts := bucket(t)
			old, before := completedUpload(t, opts, rec)
			c := &phone{t: t, node: startNode(t, opts), data: storagetest.Content(2, threeCells)}
			if when == "after the next is created" {
				c.create(next)
			}
			writeLate(t, old, before, ranges.Of(0, layout.MinPart+1000))
			if when != "after the next is created" {
				c.create(next)
			}
			up, err := startNode(t, opts).store.Load(t.Context(), "it")
			if err != nil || up.Owner != "two" || !up.Received.Empty() {
				t.Errorf("the next one is %q's and has %v, %v", up.Owner, up.Received, err)
			}
			c.send(ranges.Of(50, layout.MinPart))
			c.check(startNode(t, opts))
			writeLate(t, old, before, ranges.Of(0, 3000))
			c.check(startNode(t, opts))
			c.send(ranges.Of(0, threeCells))
			c.finish()
			c.wantFile(startNode(t, opts))
			if err := c.node.store.flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			startNode(t, opts).sweepLater(t)
			wantOnly(t, c.node.store, "it")
		})
	}
}

// writeLate writes r of an upload on a node that knows it in an old state, up.
func writeLate(t *testing.T, c *phone, up storage.Upload, r ranges.Range) {
	t.Helper()
	n := c.node.store
	n.dropCached(up.ID)
	up = up.Clone()
	chunk := storage.Chunk{Offset: r.Start, Length: r.Len(), Body: bytes.NewReader(c.data[r.Start:r.End])}
	if err := n.Write(t.Context(), up, chunk, func(p storage.Extent) storage.Upload {
		up.Add(p)
		return up.Clone()
	}); err != nil {
		t.Errorf("late write: %v", err)
	}
}

// A process that was suspended, and has lost its lock, continues to remove an upload whose id
// is another upload's by now.
func TestALateRemovalDoesNotAffectTheNextUploadWithTheSameID(t *testing.T) {
	for _, size := range []int64{1000, twoCells} {
		for _, key := range []string{"", "videos/it.mp4"} {
			rec := storage.Record{ID: "it", Key: key, Size: size}
			for name, remove := range map[string]func(*Store, storage.Upload) error{
				"delivered": func(s *Store, up storage.Upload) error { return s.MarkDelivered(context.Background(), up) },
				"expired":   func(s *Store, up storage.Upload) error { return s.DeleteCreated(context.Background(), up) },
				"partly deleted": func(s *Store, up storage.Upload) error {
					return errors.Join(s.abort(context.Background(), up.Record), s.removeFile(context.Background(), up.Record))
				},
			} {
				t.Run(name+" "+key, func(t *testing.T) {
					opts := bucket(t)
					_, before := completedUpload(t, opts, rec)
					c := &phone{t: t, node: startNode(t, opts), data: storagetest.Content(2, size)}
					c.create(rec)
					c.send(ranges.Of(0, size/2))
					stale := startNode(t, opts).store
					if err := remove(stale, before); err != nil {
						t.Errorf("remove while the next is unfinished: %v", err)
					}
					c.check(startNode(t, opts))
					c.send(ranges.Of(0, size))
					if err := remove(stale, before); err != nil {
						t.Errorf("remove when the next is finished: %v", err)
					}
					c.finish()
					c.wantFile(startNode(t, opts))
				})
			}
		}
	}
}

// A deletion that is suspended after its listing does not act on that listing later.
func TestASuspendedDeletionRemovesNothingOfTheNextUpload(t *testing.T) {
	for _, op := range []string{"put gone", "delete"} {
		opts := bucket(t)
		clock := &fakeClock{at: time.Now()}
		opts.now = clock.now
		suspended := startNode(t, opts)
		opts.now = nil
		rec := storage.Record{ID: "it", Size: 1000}
		c := &phone{t: t, node: startNode(t, opts), data: storagetest.Content(2, 1000)}
		c.create(rec)
		c.send(ranges.Of(0, 500))
		suspended.wire.before = func(now string, n int) {
			if now != map[string]string{"put gone": "get record", "delete": "head file"}[op] || n > 1 {
				return
			}
			clock.advance(time.Hour) // then the deletion continues
			if err := errors.Join(c.node.store.Delete(t.Context(), "it"), c.node.store.Clean(t.Context(), time.Now().Add(time.Hour))); err != nil {
				t.Error(err)
			}
			c.node, c.acked = startNode(t, opts), ranges.Set{}
			c.create(rec)
			c.send(ranges.Of(0, 700))
		}
		if err := suspended.store.DeleteCreated(t.Context(), mustLoad(t, c.node, "it")); err != nil {
			t.Errorf("%s: %v", op, err)
		}
		c.check(startNode(t, opts))
		c.send(ranges.Of(0, 1000))
		c.finish()
	}
}

func mustLoad(t *testing.T, n *node, id string) storage.Upload {
	t.Helper()
	up, err := n.store.Load(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return up
}

// Finding the layout of a client-chosen id, which may have been created several times, costs
// no extra request.
func TestRequestsOfGetWhereTheIDWasChosen(t *testing.T) {
	n, opts := countingNode(t)
	id := mustCreate(t, n, storage.Record{ID: "chosen", Size: gibCount, Metadata: map[string]string{"a": "\x00<&>ä"}})
	mustWrite(t, n, id, ranges.Of(0, chunkCount+1))
	cold := startNode(t, opts)
	if up, err := cold.Get(t.Context(), id); err != nil || up.Offset() != chunkCount+1 {
		t.Errorf("offset %d, %v", up.Offset(), err)
	}
	wantRequests(t, cold, "get, cold", 4)
}
