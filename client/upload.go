package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// Result describes a complete upload.
type Result struct {
	URL      string        // of the upload; it may contain a ticket
	Protocol Protocol      // that was spoken
	Size     int64         // of the file in bytes
	Resumed  int64         // bytes that the server had before
	Sent     int64         // bytes of bodies that were sent, repeated ones included
	Retries  int           // after failures
	Duration time.Duration // of the call
	// CRC32C is the checksum of the file, big-endian in base64, if it was computed.
	CRC32C string
	// Verified says that the server states the same checksum for its file.
	Verified bool
}

// Upload uploads a file, and returns nil once the server has all of it.
//
// A target that ends with "/" is a collection: the upload is created there, and gets its URL
// from the server. Any other target is the URL of the upload itself: one of the caller's
// choice on a holdfast server, one that exists already on other servers. It may contain a
// ticket in its query.
//
// progress, if not nil, is called about ten times per second, and a last time at the end,
// never by two goroutines at once.
//
// Errors: StatusError, ErrGaveUp, ErrChecksum, ErrChanged, ErrProtocol, those of reading
// the Source, and the cause of ctx. The Result has the URL, if it is known, in any case.
func (c *Client) Upload(ctx context.Context, target string, src *Source, progress func(Progress)) (Result, error) {
	u, err := c.newUpload(target, src)
	if err != nil {
		return Result{}, err
	}
	u.meter = newMeter(c.line, src.size, progress)
	err = u.run(ctx)
	u.result.Sent, u.result.Resumed = u.meter.stop()
	u.result.Retries, u.result.Duration = u.retry.count, time.Since(u.begun)
	if u.url != nil {
		u.result.URL = u.url.String()
	}
	return u.result, err
}

// summer returns the checksum of a file, once all of it was sent.
type summer interface {
	sum(ctx context.Context) (crc32c.Sum, error)
}

// upload is one call of Client.Upload.
type upload struct {
	c      *Client
	host   host
	target *url.URL
	src    *Source
	begun  time.Time

	server server
	url    *url.URL // nil until it is known
	remote remote   // as last known
	read   summer
	retry  *retry
	meter  *meter
	result Result
}

func (c *Client) newUpload(target string, src *Source) (*upload, error) {
	t, err := parseURL(target)
	if err != nil {
		return nil, err
	}
	if err := src.check(); err != nil {
		return nil, err
	}
	return &upload{c: c, host: host{c, t.Host}, target: t, src: src, begun: time.Now(), retry: newRetry(c.opts.GiveUpAfter)}, nil
}

// parseURL parses a URL that a caller gave.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err == nil && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		err = fmt.Errorf("%q is not a URL that begins with http:// or https://", text)
	}
	if err != nil {
		return nil, err
	}
	if u.Path == "" {
		u.Path = "/"
	}
	u.Fragment = ""
	return u, nil
}

func (u *upload) run(ctx context.Context) error {
	if err := u.open(ctx); err != nil {
		return err
	}
	u.meter.begin(u.remote.received.Bytes())
	send := u.sendInOrder
	if u.result.Protocol = Tus; u.server.contentRange {
		u.result.Protocol, send = ContentRange, u.sendInParallel
	}
	if err := send(ctx); err != nil {
		return err
	}
	if u.remote.size >= 0 {
		u.src.size = u.remote.size
	}
	u.meter.stored(u.src.size)
	if err := u.verify(ctx); err != nil {
		if errors.Is(err, ErrChecksum) {
			u.forget()
		}
		return err
	}
	u.forget()
	return nil
}

// try calls f until it succeeds, or fails for good.
func (u *upload) try(ctx context.Context, f func() error) error {
	return u.retry.do(ctx, u.meter.failed, f)
}

// open finds the upload on the server, or creates it.
func (u *upload) open(ctx context.Context) error {
	err := u.try(ctx, func() (err error) {
		u.server, err = u.host.discover(ctx, u.target)
		return err
	})
	if err != nil {
		return err
	}
	if u.server.maxSize > 0 && u.src.size > u.server.maxSize {
		return fmt.Errorf("the file has %d bytes, and the server takes at most %d", u.src.size, u.server.maxSize)
	}
	if !strings.HasSuffix(u.target.Path, "/") {
		u.url = u.target
		return u.load(ctx)
	}
	if found, err := u.resume(ctx); found || err != nil {
		return err
	}
	return u.create(ctx)
}

// load asks for the state of the upload. On a holdfast server there may be none yet.
func (u *upload) load(ctx context.Context) error {
	return u.try(ctx, func() (err error) {
		u.remote, err = u.host.state(ctx, u.server, u.url)
		if u.server.contentRange && hasStatus(err, http.StatusNotFound) {
			u.remote, err = remote{size: -1}, nil
		}
		if err == nil && u.remote.size >= 0 && u.src.size >= 0 && u.remote.size != u.src.size {
			err = &fatalError{fmt.Errorf("%w: the upload at this URL has a size of %d bytes, the file one of %d", ErrChecksum, u.remote.size, u.src.size)}
		}
		return err
	})
}

func hasStatus(err error, statuses ...int) bool {
	found, ok := errors.AsType[*StatusError](err)
	for _, status := range statuses {
		if ok && found.Status == status {
			return true
		}
	}
	return false
}

// resume finds the upload of an earlier call. One that the server does not have any more, or
// that is of another size, is forgotten.
func (u *upload) resume(ctx context.Context) (found bool, err error) {
	key := u.key()
	if key == "" {
		return false, nil
	}
	text, ok := u.c.opts.URLs.Load(key)
	if !ok {
		return false, nil
	}
	if u.url, err = parseURL(text); err == nil {
		err = u.loadExisting(ctx)
	}
	if hasStatus(err, http.StatusNotFound, http.StatusGone, http.StatusUnauthorized, http.StatusForbidden) || errors.Is(err, ErrChecksum) {
		u.url, u.remote = nil, remote{}
		return false, u.c.opts.URLs.Remove(key)
	}
	return err == nil, err
}

// loadExisting is load for an upload that was created before.
func (u *upload) loadExisting(ctx context.Context) error {
	if err := u.load(ctx); err != nil {
		return err
	}
	if u.remote.size < 0 && u.remote.received.Empty() && u.src.size >= 0 {
		return &StatusError{Method: http.MethodGet, URL: u.url.Redacted(), Status: http.StatusNotFound}
	}
	return nil
}

func (u *upload) create(ctx context.Context) error {
	err := u.try(ctx, func() (err error) {
		u.url, err = u.host.create(ctx, u.server, u.target, u.src)
		return err
	})
	if err != nil {
		return err
	}
	u.remote = remote{size: u.src.size, complete: u.src.size == 0}
	if key := u.key(); key != "" {
		return u.c.opts.URLs.Save(key, u.url.String())
	}
	return nil
}

// key is the key of the upload in Options.URLs, "" if it is not remembered.
func (u *upload) key() string {
	if u.c.opts.URLs == nil || u.src.Identity == "" || !strings.HasSuffix(u.target.Path, "/") {
		return ""
	}
	return u.src.Identity + " " + u.target.String()
}

// forget removes what is remembered of the upload. Should that fail, the next call finds
// the complete upload.
func (u *upload) forget() {
	if key := u.key(); key != "" {
		_ = u.c.opts.URLs.Remove(key)
	}
}

// verify compares the file on the server with the one that was read.
func (u *upload) verify(ctx context.Context) error {
	if err := u.src.stillSame(); err != nil {
		return err
	}
	if u.remote.crc == nil && u.server.contentRange {
		if err := u.load(ctx); err != nil {
			return err
		}
	}
	u.result.Size = u.src.size
	if u.remote.crc == nil {
		return nil
	}
	sum, err := u.read.sum(ctx)
	if err != nil {
		return err
	}
	u.result.CRC32C = sum.String()
	if sum != *u.remote.crc {
		return fmt.Errorf("%w: its CRC32C is %s, that of the file %s", ErrChecksum, u.remote.crc, sum)
	}
	u.result.Verified = true
	return nil
}
