package client

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// inOrder sends the chunks of one upload one after the other, as tus 1.0 has it.
type inOrder struct {
	*upload
	window window
	line   *line
	hash   func() hash.Hash // of Upload-Checksum, nil if the server has none
	name   string           // of the hash
	offset int64
}

// checksumHashes are the algorithms of Upload-Checksum, the fastest first.
var checksumHashes = []struct {
	name string
	hash func() hash.Hash
}{
	{"crc32c", func() hash.Hash { return crc32.New(crc32c.Table) }},
	{"sha256", sha256.New}, {"sha1", sha1.New}, {"md5", md5.New},
}

// sendInOrder sends all that the server lacks by PATCH.
func (u *upload) sendInOrder(ctx context.Context) error {
	o := &inOrder{upload: u, line: newLine(u.c.inOrder), offset: u.remote.received.Prefix()}
	u.meter.use(o.line)
	o.window = &fileWindow{u.src.at, u.src.size}
	if u.src.at == nil {
		o.window = &streamWindow{in: u.src.in}
	}
	u.read = o.window
	for _, h := range checksumHashes {
		if o.hash == nil && slices.Contains(u.server.checksums, h.name) {
			o.hash, o.name = h.hash, h.name
		}
	}
	for !u.remote.complete {
		if err := o.step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// step sends a chunk. After a failure it waits, and asks the server for its offset.
func (o *inOrder) step(ctx context.Context) error {
	s, _ := o.line.acquire()
	body, n, last, err := o.window.from(ctx, o.offset, s.size)
	if err != nil {
		s.unused()
		return err
	}
	offset, err := o.patch(ctx, body, n, last)
	if err == nil {
		s.stored(offset - o.offset)
		if last && offset == o.offset+n {
			o.remote.complete, o.remote.size = true, offset
		}
		o.advance(offset)
		return nil
	}
	if status, ok := errors.AsType[*StatusError](err); ok && status.ofProxy() && s.tooLarge(n) {
		return nil
	}
	s.failed()
	return o.recover(ctx, s.begun, err)
}

// advance takes a new offset of the server.
func (o *inOrder) advance(offset int64) {
	if offset > o.offset {
		o.retry.progress()
		o.meter.stored(offset)
	}
	o.offset = offset
}

// recover waits after a failure until it knows the offset of the server.
func (o *inOrder) recover(ctx context.Context, begun time.Time, err error) error {
	if hasStatus(err, http.StatusConflict) {
		err = fmt.Errorf("the server has another offset than %d", o.offset) // a broken request was stored later
	}
	if err := o.retry.wait(ctx, begun, err, o.meter.failed); err != nil {
		return err
	}
	return o.try(ctx, func() error {
		found, err := o.host.tusState(ctx, o.url)
		if err == nil {
			o.remote = found
			o.advance(found.received.Prefix())
		}
		return err
	})
}

// patch sends a chunk, and returns the new offset (tus 1.0, section "PATCH").
func (o *inOrder) patch(ctx context.Context, body io.ReaderAt, n int64, last bool) (int64, error) {
	header := tusHeader()
	header.Set("Content-Type", "application/offset+octet-stream")
	header.Set("Upload-Offset", strconv.FormatInt(o.offset, 10))
	if last && o.remote.size < 0 {
		header.Set("Upload-Length", strconv.FormatInt(o.offset+n, 10))
	}
	if o.hash != nil && n > 0 {
		h := o.hash()
		if _, err := io.Copy(h, io.NewSectionReader(body, 0, n)); err != nil {
			return 0, readError(err)
		}
		header.Set("Upload-Checksum", o.name+" "+base64.StdEncoding.EncodeToString(h.Sum(nil)))
	}
	sent, ended := o.meter.sending()
	defer ended()
	resp, err := o.host.send(ctx, request{method: http.MethodPatch, url: o.url, header: header, body: body, size: n, sent: sent})
	if err != nil {
		return 0, err
	}
	offset, err := strconv.ParseInt(resp.header.Get("Upload-Offset"), 10, 64)
	if err != nil || offset < o.offset || offset == o.offset && n > 0 {
		return 0, fmt.Errorf("PATCH %s: %d with an Upload-Offset of %q after %d bytes at %d",
			o.url.Redacted(), resp.status, resp.header.Get("Upload-Offset"), n, o.offset)
	}
	return offset, nil
}
