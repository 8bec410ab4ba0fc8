package ietf

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// content reads the content of a request, and checks it against what is known of the file.
type content struct {
	x    *exchange
	left int64 // bytes until the end of the upload
	n    int64 // bytes read
	file *file // what is known of the file, nil if nothing has to be
}

func (x *exchange) newContent() *content {
	x.reported.at, x.reported.offset = time.Now(), x.up.Offset()
	c := &content{x: x, left: math.MaxInt64, file: x.files.take(x)}
	if x.up.Size != storage.Unknown {
		c.left = x.up.Size - x.offset
		x.body.LimitSpool(c.left, storage.ErrOutOfRange)
	}
	if limit := x.maxSize(); limit > 0 {
		x.body.LimitSpool(limit-x.offset, storage.ErrTooLarge)
	}
	return c
}

// forStore returns the reader for the store. Where the length or the digest of the file has
// to be verified, it withholds the last byte until that is done: an upload never becomes
// complete by content that is rejected.
func (c *content) forStore() io.Reader {
	if c.file != nil && c.file.repr != nil || c.x.content < 0 && c.x.up.Size != storage.Unknown {
		return &withholding{content: c}
	}
	return c
}

// close ends the reports of progress, and keeps what is known of the file for the next
// request.
func (c *content) close() {
	c.x.reported.mu.Lock()
	defer c.x.reported.mu.Unlock()
	c.x.reported.ended = true
	c.x.files.put(c.x.up, c.file)
}

// Read implements io.Reader.
func (c *content) Read(p []byte) (int, error) {
	c.x.report()
	n, err := c.x.body.Read(p)
	if failed := c.add(p[:n]); failed != nil {
		return 0, failed
	}
	if err == io.EOF {
		err = c.verify()
	}
	return n, err
}

// add takes note of bytes that were read. It returns an error if they do not belong to the
// upload.
func (c *content) add(b []byte) error {
	if c.n+int64(len(b)) > c.left {
		return fmt.Errorf("%w: it has %d bytes", storage.ErrOutOfRange, c.x.up.Size)
	}
	at := c.x.offset + c.n
	c.n += int64(len(b))
	if c.file == nil {
		return nil
	}
	return c.file.add(b, at)
}

// errRejected means that the file is not the one that its digest announced.
var errRejected = errors.New("the file is rejected")

// verify returns io.EOF, unless the content ends the file and that does not match its digest.
func (c *content) verify() error {
	end, x := c.x.offset+c.n, c.x
	if end != x.up.Size && !(x.up.Size == storage.Unknown && x.complete) || c.file == nil || c.file.repr == nil || c.file.length != end {
		return io.EOF
	}
	if err := c.file.repr.Check(); err != nil {
		return fmt.Errorf("%w: %w", errRejected, err)
	}
	return io.EOF
}

// readAll reads content that was stored before, to the end.
func (c *content) readAll() error {
	_, err := io.Copy(io.Discard, c)
	if err != nil {
		return fmt.Errorf("%w: %w", storage.ErrBodyAborted, err)
	}
	return nil
}

// compare returns errDiffers if the client has sent another file than the one that is
// finished.
func (c *content) compare() error {
	up := c.x.up
	if c.file == nil || !up.Finished || up.CRC32C == nil || c.file.length != up.Size || c.file.sum == *up.CRC32C {
		return nil
	}
	return errDiffers
}
