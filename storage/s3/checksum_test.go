package s3

import (
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// flipper is a transport that flips a bit in the body of every request of one operation.
// It records the headers of the requests to complete a multipart upload.
type flipper struct {
	mu        sync.Mutex
	op        string // "" for none
	flipped   int
	completes []http.Header
}

func (f *flipper) set(op string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.op = op
}

func (f *flipper) RoundTrip(r *http.Request) (*http.Response, error) {
	op := operation(r)
	f.mu.Lock()
	flips := op == f.op
	if flips {
		f.flipped++
	}
	if op == "complete" {
		f.completes = append(f.completes, r.Header.Clone())
	}
	f.mu.Unlock()
	if flips {
		r = r.Clone(r.Context())
		r.Body = &flippedBody{ReadCloser: r.Body}
	}
	return plain.RoundTrip(r)
}

// flippedBody is a body with a flipped bit in its first byte.
type flippedBody struct {
	io.ReadCloser
	done bool
}

func (b *flippedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 && !b.done {
		b.done = true
		p[0] ^= 1
	}
	return n, err
}

func flippingNode(t *testing.T, opts Options) (*node, *flipper) {
	t.Helper()
	n, f := startNode(t, opts), &flipper{}
	n.wire.next = f
	return n, f
}

// Every object is sent with a checksum, so that S3 rejects corrupted data: the client gets
// a transient error, and none of the data is acknowledged.
func TestCorruptedDataIsNeitherAcknowledgedNorStored(t *testing.T) {
	opts := bucket(t)
	for op, c := range map[string]struct {
		rec   storage.Record
		first ranges.Range // stored before bits are flipped
		sent  ranges.Range // sent with a flipped bit
	}{
		"part":         {storage.Record{Size: threeCells}, ranges.Of(layout.MinPart, layout.MinPart), ranges.Of(0, layout.MinPart)},
		"put fragment": {storage.Record{Size: threeCells}, ranges.Of(0, layout.MinPart), ranges.Of(layout.MinPart, 1000)},
		"put file":     {storage.Record{Size: 70_001}, ranges.Range{}, ranges.Of(0, 70_001)},
	} {
		t.Run(op, func(t *testing.T) {
			n, f := flippingNode(t, opts)
			c0 := &phone{t: t, node: n, data: storagetest.Content(11, c.rec.Size)}
			c0.create(c.rec)
			c0.send(c.first)
			f.set(op)
			up, err := n.Write(t.Context(), c0.id, chunk(c0.data, c.sent))
			if !storage.Transient(err) || f.flipped == 0 {
				t.Errorf("write: %v after %d flipped bits, want a transient error", err, f.flipped)
			}
			wantNone(t, "the answer", up, c.sent)
			cold, err := startNode(t, opts).Get(t.Context(), c0.id)
			if err != nil {
				t.Errorf("get: %v", err)
			}
			wantNone(t, "another node", cold, c.sent)
			f.set("")
			c0.send(ranges.Of(0, c.rec.Size))
			c0.finish()
			c0.wantFile(startNode(t, opts))
		})
	}
}

func wantNone(t *testing.T, who string, up storage.Upload, r ranges.Range) {
	t.Helper()
	if got := up.Received.Within(r); !got.Empty() || up.Finished {
		t.Errorf("%s has %v of the corrupted data, finished %v", who, got, up.Finished)
	}
}

// The same for the store's own objects.
func TestCorruptedRecordsAndLayoutsAreNotStored(t *testing.T) {
	opts := bucket(t)
	n, f := flippingNode(t, opts)
	f.set("put record")
	if _, err := n.Create(t.Context(), storage.Record{ID: "flipped", Size: threeCells}); !storage.Transient(err) {
		t.Errorf("create: %v, want a transient error", err)
	}
	f.set("")
	c := &phone{t: t, node: n, data: storagetest.Content(12, threeCells)}
	c.create(storage.Record{ID: "flipped", Size: storage.Unknown})
	for _, step := range []struct {
		op  string
		run func() error
	}{
		{"put layout", func() error { return c.sendOnce(ranges.Of(0, layout.MinPart)) }},
		{"put size", func() error { _, err := n.SetSize(t.Context(), c.id, threeCells); return err }},
	} {
		f.set(step.op)
		if err := step.run(); !storage.Transient(err) {
			t.Errorf("%s: %v, want a transient error", step.op, err)
		}
		f.set("")
		c.check(startNode(t, opts))
	}
	if f.flipped == 0 {
		t.Error("no bit was flipped")
	}
	c.send(whole)
	c.declare()
	c.finish()
}

// The request that completes a file has the checksum of the whole, whether the node has
// sent the parts, has loaded them from S3, or has to assemble the last from fragments.
func TestS3VerifiesTheChecksumOfTheWholeFile(t *testing.T) {
	opts := bucket(t)
	for name, finish := range map[string]func(t *testing.T, c *phone){
		"by the node that sent the parts": func(t *testing.T, c *phone) { c.send(whole) },
		"by a node that has sent none": func(t *testing.T, c *phone) {
			c.send(ranges.Range{Start: layout.MinPart, End: threeCells})
			n, f := flippingNode(t, opts)
			c.send(ranges.Of(0, layout.MinPart-10))
			c.node = n
			c.send(ranges.Of(layout.MinPart-10, 10))
			wantWholeChecksum(t, f, c.data)
		},
		"by a node that has to put fragments": func(t *testing.T, c *phone) {
			for _, r := range storagetest.Chunks(threeCells, 2_600_003) {
				c.send(r)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			n, f := flippingNode(t, opts)
			c := begunOn(t, n)
			finish(t, c)
			c.finish()
			if c.node == n {
				wantWholeChecksum(t, f, c.data)
			}
		})
	}
}

func wantWholeChecksum(t *testing.T, f *flipper, data []byte) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.completes) == 0 {
		t.Fatal("no multipart upload was completed")
	}
	for _, h := range f.completes {
		sum, typ := h.Get("X-Amz-Checksum-Crc32c"), h.Get("X-Amz-Checksum-Type")
		if want := crc32c.Of(data).String(); sum != want || typ != "FULL_OBJECT" {
			t.Errorf("completed with checksum %q of type %q, want %q of FULL_OBJECT", sum, typ, want)
		}
	}
}
