package s3

import (
	"bytes"
	"context"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// An object of another size than the upload's is not its file, even if its metadata names this
// upload and this creation of it.
func TestF04AnObjectOfAnotherSizeIsNotTheFile(t *testing.T) {
	opts := bucket(t)
	for _, size := range []int64{70_001, threeCells} { // put at once, and in parts
		for _, other := range []int64{0, size - 1, size + 1} {
			for _, received := range []ranges.Range{{}, ranges.Of(0, size-1)} {
				n := startNode(t, opts)
				c := &phone{t: t, node: n, data: storagetest.Content(9, size)}
				c.create(storage.Record{Size: size})
				c.send(received)
				up, err := n.store.Load(t.Context(), c.id)
				if err != nil {
					t.Fatal(err)
				}
				putObjectFor(t, n.store, up, make([]byte, other))
				for who, asked := range map[string]*node{"this node": n, "another node": startNode(t, opts)} {
					if up, err := asked.Get(t.Context(), c.id); err != nil || up.Finished || up.Offset() != received.End {
						t.Errorf("object of %d bytes, upload of %d: %s reports offset %d, finished %v, %v", other, size, who, up.Offset(), up.Finished, err)
					}
				}
				if other == size-1 && received.Empty() {
					c.wantNotFinishedUntilRemoved(up)
				}
			}
		}
	}
}

// wantNotFinishedUntilRemoved checks that an upload can't be finished while another object has
// the key of its file, and can once that is removed.
func (c *phone) wantNotFinishedUntilRemoved(up storage.Upload) {
	c.t.Helper()
	all := ranges.Of(0, up.Size)
	if err := c.sendOnce(all); !storage.Transient(err) {
		c.t.Errorf("write of all bytes: %v, want a transient error", err)
	}
	if now, _ := c.node.Get(c.t.Context(), c.id); now.Finished {
		c.t.Error("the other object was accepted as the file")
	}
	if err := c.node.store.client.Remove(c.t.Context(), c.node.store.fileKey(up.Record)); err != nil {
		c.t.Fatal(err)
	}
	c.send(all)
	c.finish()
}

// putObjectFor stores an object with the key and the metadata of an upload's file.
func putObjectFor(t *testing.T, s *Store, up storage.Upload, data []byte) {
	t.Helper()
	o, err := s.file(up.Record)
	if err != nil {
		t.Fatal(err)
	}
	o.Body, o.Size, o.Sum = bytes.NewReader(data), int64(len(data)), crc32c.Of(data)
	if err := s.client.Put(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// A part or a fragment whose size differs from that of its number or name is ignored.
func TestF01PartsAndFragmentsOfTheWrongSizeAreNotReceived(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	c := begunOn(t, n)
	c.send(ranges.Of(0, layout.MinPart))
	d, err := n.store.loadLayout(t.Context(), storage.Record{ID: c.id})
	if err != nil {
		t.Fatal(err)
	}
	for number, size := range map[int32]int{2: layout.MinPart - 1, 3: 100_004, 4: 10} {
		data := make([]byte, size)
		if _, err := n.store.client.PutPart(t.Context(), n.store.fileKey(d.Record), d.UploadID, number,
			bytes.NewReader(data), int64(size), crc32c.Of(data)); err != nil {
			t.Fatal(err)
		}
	}
	for r, size := range map[ranges.Range]int{
		ranges.Of(layout.MinPart, 100): 99, ranges.Of(layout.MinPart+100, 100): 101, ranges.Of(layout.MinPart+200, 100): 0,
	} {
		o := api.JSONObject(n.store.fragmentKey(c.id, layout.NewFragment(r, "")), make([]byte, size))
		if err := n.store.client.Put(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	cold := startNode(t, opts)
	if up, err := cold.Get(t.Context(), c.id); err != nil || !up.Received.Equal(ranges.NewSet(ranges.Of(0, layout.MinPart))) {
		t.Errorf("get: received %v, %v; want only the first part", up.Received, err)
	}
	c.node = cold
	c.send(whole)
	c.finish()
}

// A deletion aborts the multipart upload, which would otherwise cost storage until the bucket
// is removed. It does not depend on a sweep for that.
func TestF16ADeletionAbortsTheMultipartUpload(t *testing.T) {
	for name, change := range map[string]func(*Options){"": nil, "deferred until Finish": func(o *Options) { o.DeferFile = true }} {
		opts := bucket(t)
		if change != nil {
			change(&opts)
		}
		for how, remove := range map[string]func(n *node, id string) error{
			"deleted":               func(n *node, id string) error { return n.Delete(t.Context(), id) },
			"deleted by an admin":   func(n *node, id string) error { return n.DeleteAsAdmin(t.Context(), id) },
			"deleted if unfinished": func(n *node, id string) error { _, err := n.DeleteIfUnfinished(t.Context(), id); return err },
		} {
			n := startNode(t, opts)
			c := begunOn(t, n)
			c.send(ranges.Of(0, layout.MinPart+10))
			if _, multiparts := leftIn(t, n.store); len(multiparts) != 1 {
				t.Fatalf("multipart uploads before it is deleted: %v", multiparts)
			}
			if err := remove(startNode(t, opts), c.id); err != nil {
				t.Errorf("%s: %v", how, err)
			}
			keys, multiparts := leftIn(t, n.store)
			if len(multiparts) > 0 || len(keys) != 1 || keys[0] != n.store.liveKey(c.id, "gone") {
				t.Errorf("%s %s: left: objects %v, multipart uploads %v", how, name, keys, multiparts)
			}
			if err := n.store.client.Remove(t.Context(), keys...); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// When two nodes concurrently create a multipart upload for the same upload, the one that stores
// its layout second aborts its own, and continues with the other.
func TestF18TheSecondOfTwoConcurrentMultipartUploadsIsAborted(t *testing.T) {
	opts := bucket(t)
	n, first := startNode(t, opts), startNode(t, opts)
	c := begunOn(t, n)
	if _, err := first.Get(t.Context(), c.id); err != nil {
		t.Fatal(err)
	}
	n.wire.before = func(op string, _ int) {
		if op != "put layout" {
			return
		}
		n.wire.before = nil // the goroutine that writes also puts the layout
		if _, err := first.Write(context.Background(), c.id, chunk(c.data, ranges.Of(0, layout.MinPart))); err != nil {
			t.Errorf("write by the first: %v", err)
		}
	}
	if err := c.sendOnce(ranges.Of(layout.MinPart, layout.MinPart)); err != nil {
		t.Errorf("write by the second: %v", err)
	}
	if created := n.wire.calls()["begin"] + first.wire.calls()["begin"]; created != 2 {
		t.Fatalf("%d multipart uploads were created, want 2", created)
	}
	if _, multiparts := leftIn(t, n.store); len(multiparts) != 1 {
		t.Errorf("multipart uploads: %v, want that of the first", multiparts)
	}
	c.ack(ranges.Of(0, layout.MinPart))
	c.check(startNode(t, opts))
	c.send(whole)
	c.finish()
	wantOnly(t, n.store, c.id)
}

// A chunk that is received again is discarded without a request to S3.
func TestF14AStoredChunkIsNotSentToS3Again(t *testing.T) {
	n := startNode(t, bucket(t))
	c := &phone{t: t, node: n, data: storagetest.Content(9, threeCells)}
	c.create(storage.Record{Size: threeCells})
	for _, r := range []ranges.Range{ranges.Of(0, layout.MinPart), ranges.Of(layout.MinPart, 1000)} {
		c.send(r)
		n.wire.reset()
		c.send(r)
		wantRequests(t, n, "the same chunk again", 0)
	}
}
