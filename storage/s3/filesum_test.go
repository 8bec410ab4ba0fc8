package s3

import (
	"fmt"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// wantFileSum checks that a node, and another with an empty cache, return the checksum of
// the file, or that neither does.
func (c *phone) wantFileSum(opts Options, known bool) {
	c.t.Helper()
	for _, n := range []*node{c.node, startNode(c.t, opts)} {
		up, err := n.Get(c.t.Context(), c.id)
		if err != nil || !up.Finished || (up.CRC32C != nil) != known {
			c.t.Errorf("finished %v, checksum %v, %v; want one: %v", up.Finished, up.CRC32C, err, known)
		} else if known && *up.CRC32C != crc32c.Of(c.data) {
			c.t.Errorf("the checksum is %v, want %v", up.CRC32C, crc32c.Of(c.data))
		}
	}
}

// If the response is lost, the checksum is read from the file.
func TestF30ChecksumOfAFileIsKnownAfterFaults(t *testing.T) {
	opts := bucket(t)
	for _, size := range []int64{1000, 2*layout.MinPart + 1000} {
		for _, f := range []fault{{}, {"put file", 1, answerLost}, {"put file", 1, doneButFail}, {"complete", 1, answerLost}, {"complete", 1, doneButFail}} {
			t.Run(fmt.Sprintf("%d bytes, %s %d %s", size, f.op, f.nth, f.what), func(t *testing.T) {
				n := startNode(t, opts)
				c := &phone{t: t, node: n, data: storagetest.Content(7, size)}
				n.wire.inject(f)
				c.create(storage.Record{Size: size})
				c.send(ranges.Of(0, size))
				c.wantFileSum(opts, true)
			})
		}
	}
}

// An S3 server without checksums returns none for a file made of parts.
func TestF30ChecksumOfASinglePutIsKnownWithoutChecksumsOfS3(t *testing.T) {
	opts := bucket(t)
	opts.assume = &api.Abilities{PutIfAbsent: true, CompleteIfAbsent: true, BatchDelete: true, ListMultiparts: true, Copy: true}
	for size, known := range map[int64]bool{0: true, 1000: true, 2*layout.MinPart + 1000: false} {
		n := startNode(t, opts)
		c := &phone{t: t, node: n, data: storagetest.Content(7, size)}
		c.create(storage.Record{Size: size})
		if size > 0 {
			c.send(ranges.Of(0, size))
		}
		up, err := n.Get(t.Context(), c.id)
		if err != nil || !up.Finished {
			t.Fatalf("%d bytes: finished %v, %v", size, up.Finished, err)
		}
		c.wantFileSum(opts, known)
	}
}

// S3 servers return no checksums for copied parts, or ones that are not of the copied bytes.
func TestF30ChecksumOfAConcatenatedFileIsKnown(t *testing.T) {
	opts := bucket(t)
	opts.copy = 2 * layout.MinPart
	n := startNode(t, opts)
	c := joined(t, n)
	up, err := n.Concat(t.Context(), c.id)
	if err != nil || up.CRC32C == nil || *up.CRC32C != crc32c.Of(c.data) {
		t.Errorf("concatenate: checksum %v, %v; want %v", up.CRC32C, err, crc32c.Of(c.data))
	}
	c.wantFileSum(opts, true)
}
