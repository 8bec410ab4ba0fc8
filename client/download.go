package client

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// Download writes the file at a URL to w. After a broken connection it continues where it
// was. If the server states the CRC32C of the file, as holdfast does, the bytes are
// compared with it, and Result.Verified is set. progress is as for Upload.
//
// Errors: StatusError, ErrGaveUp, ErrChecksum, those of w, and the cause of ctx.
func (c *Client) Download(ctx context.Context, target string, w io.Writer, progress func(Progress)) (Result, error) {
	u, err := parseURL(target)
	if err != nil {
		return Result{}, err
	}
	return c.download(ctx, &download{url: u, to: w}, progress)
}

// DownloadFile is Download to a file at a path. The bytes are written to path with ".part"
// appended, which a later call continues if the server states the checksum of the file. The
// path itself is replaced once the file is complete and verified.
func (c *Client) DownloadFile(ctx context.Context, target, path string, progress func(Progress)) (Result, error) {
	u, err := parseURL(target)
	if err != nil {
		return Result{}, err
	}
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return Result{}, err
	}
	d := &download{url: u, to: f, file: f}
	result, err := c.resumeDownload(ctx, d, progress)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		return result, os.Rename(part, path)
	}
	if errors.Is(err, ErrChecksum) || d.offset == 0 {
		err = errors.Join(err, os.Remove(part))
	}
	return result, err
}

func (c *Client) resumeDownload(ctx context.Context, d *download, progress func(Progress)) (Result, error) {
	info, err := d.file.Stat()
	if err != nil {
		return Result{}, err
	}
	if d.sum, err = sumOf(ctx, io.NewSectionReader(d.file, 0, info.Size())); err != nil {
		return Result{}, err
	}
	if d.offset, err = d.file.Seek(0, io.SeekEnd); err != nil {
		return Result{}, err
	}
	d.resumed = d.offset
	return c.download(ctx, d, progress)
}

// download is the download of a file.
type download struct {
	host    host
	url     *url.URL
	to      io.Writer
	file    *os.File // the same, if it can be truncated
	meter   *meter
	retry   *retry
	offset  int64 // of the next byte
	resumed int64 // bytes that an earlier call has written
	sum     crc32c.Sum
	size    int64       // -1 until it is known
	etag    string      // of the first response of this call
	want    *crc32c.Sum // as the server states it
}

func (c *Client) download(ctx context.Context, d *download, progress func(Progress)) (Result, error) {
	begun := time.Now()
	d.host, d.size, d.retry = host{c, d.url.Host}, -1, newRetry(c.opts.GiveUpAfter)
	d.meter = newMeter(newLine(newPace(c.opts.MinChunk, c.opts.MaxChunk, 1)), -1, progress)
	d.meter.begin(d.resumed)
	err := d.retry.do(ctx, d.meter.failed, func() error { return d.try(ctx) })
	if err == nil {
		err = d.compare()
	}
	d.meter.stop()
	return Result{
		URL: d.url.String(), Size: d.offset, Resumed: d.resumed, Retries: d.retry.count, Duration: time.Since(begun),
		CRC32C: d.sum.String(), Verified: err == nil && d.want != nil,
	}, err
}

func (d *download) compare() error {
	if d.want != nil && *d.want != d.sum {
		return fmt.Errorf("%w: its CRC32C is %s, that of the bytes received %s", ErrChecksum, d.want, d.sum)
	}
	return nil
}

// try makes one request, and writes what it returns.
func (d *download) try(ctx context.Context) error {
	watch := newWatchdog(ctx, d.host.client.opts.IdleTimeout)
	defer watch.stop()
	header := http.Header{"Want-Repr-Digest": {"crc32c=1"}, "Accept-Encoding": {"identity"}}
	if d.offset > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", d.offset))
		if d.etag != "" {
			header.Set("If-Range", d.etag)
		}
	}
	resp, err := d.host.start(watch, request{method: http.MethodGet, url: d.url, header: header})
	if err != nil {
		return watch.explain(err)
	}
	defer resp.Body.Close()
	done, err := d.begin(resp)
	if done || err != nil {
		return err
	}
	return watch.explain(d.copy(watch, resp.Body))
}

// begin reads the header of a response. It reports whether nothing is left to be read.
func (d *download) begin(resp *http.Response) (done bool, err error) {
	d.readDigest(resp.Header)
	first, size := int64(0), resp.ContentLength
	switch {
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && d.offset > 0:
		if resp.Header.Get("Content-Range") == fmt.Sprintf("bytes */%d", d.offset) && (d.want != nil || d.etag != "") {
			return true, nil
		}
		return false, d.restart() // there are fewer bytes, or nothing is known of those written before
	case resp.StatusCode == http.StatusPartialContent:
		_, err = fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, new(int64), &size)
	case resp.StatusCode != http.StatusOK:
		return false, newStatusError(resp)
	case strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") && resp.Header.Get("Upload-Offset") != resp.Header.Get("Upload-Length"):
		return false, &fatalError{errors.New("the upload is not complete: see its status")}
	}
	if err != nil || first != 0 && first != d.offset {
		return false, &fatalError{fmt.Errorf("the server sent another range: %q", resp.Header.Get("Content-Range"))}
	}
	if d.resumed > 0 && d.etag == "" && d.want == nil || first != d.offset {
		return false, d.restart()
	}
	d.etag, d.size = resp.Header.Get("ETag"), size
	d.meter.size(size)
	return false, nil
}

// restart forgets what was written: the file may have changed on the server.
func (d *download) restart() error {
	if d.file == nil {
		return &fatalError{fmt.Errorf("%w: the file on the server changed during the download", ErrChanged)}
	}
	if err := d.file.Truncate(0); err != nil {
		return &fatalError{err}
	}
	if _, err := d.file.Seek(0, io.SeekStart); err != nil {
		return &fatalError{err}
	}
	d.offset, d.resumed, d.sum, d.etag = 0, 0, 0, ""
	return errRestart
}

var errRestart = errors.New("the file may have changed on the server: from the start")

// readDigest takes the CRC32C of the file from Repr-Digest (RFC 9530, section 3).
func (d *download) readDigest(h http.Header) {
	for member := range strings.SplitSeq(strings.Join(h.Values("Repr-Digest"), ","), ",") {
		text, ok := strings.CutPrefix(strings.TrimSpace(member), "crc32c=:")
		if b, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(text, ":")); ok && err == nil && len(b) == 4 {
			sum, _ := crc32c.Parse(base64.StdEncoding.EncodeToString(b))
			d.want = &sum
		}
	}
}

// copy writes a body to its end.
func (d *download) copy(watch *watchdog, body io.Reader) error {
	buf := make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		watch.touch()
		if n > 0 {
			if _, err := d.to.Write(buf[:n]); err != nil {
				return &fatalError{err}
			}
			d.sum = d.sum.Append(buf[:n])
			d.offset += int64(n)
			d.retry.progress()
			d.meter.stored(d.offset)
		}
		switch {
		case errors.Is(err, io.EOF) && d.size >= 0 && d.offset < d.size:
			return io.ErrUnexpectedEOF
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
