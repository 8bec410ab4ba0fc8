package client

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// chunk is a range of the file that is sent in one request.
type chunk struct {
	ranges.Range
	body  io.ReaderAt // the bytes of the range, from 0
	sum   *crc32c.Sum // nil until it is computed
	total int64       // the size of the file, -1 if it is unknown
}

// feed yields the chunks of a Source that the server lacks. It is not safe for concurrent
// use.
type feed interface {
	// available reports whether next has a chunk now. If it has none, ready says when it
	// may have one. size is the length that the next chunk may have.
	available(size int64) bool
	ready() <-chan struct{}
	// next returns a chunk of about size bytes, which is under way from then on.
	next(size int64) (chunk, error)
	// stored and failed end the way of a chunk.
	stored(c chunk)
	failed(c chunk)
	// lacks says which ranges the server has, after it was asked.
	lacks(received ranges.Set) error
	// complete reports whether the server has all chunks, and returns the size of the file.
	complete() (size int64, ok bool)
	// bytes returns the number of bytes that the server has.
	bytes() int64
	// sum returns the checksum of the file, once it is complete.
	sum(ctx context.Context) (crc32c.Sum, error)
}

// outcome is what became of a chunk.
type outcome struct {
	chunk chunk
	slot  *slot
	resp  response
	err   error
	whole bool // the body was sent to its end
}

// parallel sends the chunks of one upload in any order. One goroutine has its state; each
// chunk is sent by another one.
type parallel struct {
	*upload
	feed      feed
	results   chan outcome
	underWay  int
	notBefore time.Time // when to send the next chunk, after a failure
	stale     bool      // a chunk may have been stored although its request failed
}

// sendInParallel sends all that the server lacks by PUT with Content-Range, until the server
// says that the file is complete.
func (u *upload) sendInParallel(ctx context.Context) error {
	p := &parallel{upload: u, feed: newFeed(u.src), results: make(chan outcome)}
	u.read = p.feed
	if err := p.feed.lacks(u.remote.received); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	err := p.loop(ctx)
	cancel()
	for ; p.underWay > 0; p.underWay-- {
		(<-p.results).slot.unused()
	}
	return err
}

func (p *parallel) loop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		changed, err := p.start(ctx)
		if err != nil {
			return err
		}
		if done, err := p.done(ctx); done || err != nil {
			return err
		}
		timer.Reset(max(time.Until(p.notBefore), 0))
		due := timer.C
		if time.Now().After(p.notBefore) {
			due = nil
		}
		select {
		case o := <-p.results:
			p.underWay--
			if err := p.handle(ctx, o); err != nil {
				return err
			}
		case <-changed:
		case <-due:
		case <-p.feed.ready():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// start begins to send as many chunks as there may be. If there is no slot for another one,
// it returns a channel that is closed when there may be.
func (p *parallel) start(ctx context.Context) (changed <-chan struct{}, err error) {
	for !p.remote.complete && !time.Now().Before(p.notBefore) {
		if p.stale {
			if err := p.refresh(ctx); err != nil {
				return nil, err
			}
			continue
		}
		size, _ := p.c.line.now()
		if !p.feed.available(size) {
			return nil, nil
		}
		slot, changed := p.c.line.acquire()
		if slot == nil {
			return changed, nil
		}
		next, err := p.feed.next(slot.size)
		if err != nil {
			slot.unused()
			return nil, err
		}
		p.underWay++
		url := p.url
		go func() { p.results <- p.send(ctx, url, next, slot) }()
	}
	return nil, nil
}

// refresh asks the server what it has.
func (p *parallel) refresh(ctx context.Context) error {
	begun := time.Now()
	found, err := p.host.state(ctx, p.server, p.url)
	if hasStatus(err, http.StatusNotFound) {
		found, err = remote{size: -1}, nil
	}
	if err != nil {
		return p.wait(ctx, begun, err)
	}
	p.stale = false
	before := p.feed.bytes()
	p.remote = found
	if err := p.feed.lacks(found.received); err != nil && !found.complete {
		return err
	}
	if p.feed.bytes() > before {
		p.progress()
	}
	return nil
}

func (p *parallel) progress() {
	p.retry.progress()
	p.meter.stored(p.feed.bytes())
}

// wait sets when to go on after a failure. It returns the error that ends the upload.
func (p *parallel) wait(ctx context.Context, begun time.Time, err error) error {
	at, err := p.retry.retryAt(ctx, begun, err, p.meter.failed)
	if at.After(p.notBefore) {
		p.notBefore = at
	}
	return err
}

// done reports whether the server has the complete file. If it has all chunks and has not
// said so, it is asked; if it lacks some after all, they are sent again.
func (p *parallel) done(ctx context.Context) (bool, error) {
	size, all := p.feed.complete()
	switch {
	case p.remote.complete:
		return true, nil
	case !all || p.underWay > 0 || time.Now().Before(p.notBefore):
		return false, nil
	}
	begun := time.Now()
	p.src.size = size
	p.meter.size(size)
	resp, err := p.host.send(ctx, request{method: http.MethodPut, url: p.url, header: p.header(fmt.Sprintf("bytes */%d", size))})
	if err == nil {
		p.remote, err = parseState(resp)
	}
	if err != nil && !hasStatus(err, http.StatusNotFound) {
		return false, p.wait(ctx, begun, err)
	}
	if p.remote.complete {
		return true, nil
	}
	p.stale = true
	return false, p.wait(ctx, begun, errIncomplete)
}

var errIncomplete = errors.New("the server has not completed the file yet")

// handle takes the outcome of a chunk. It returns the error that ends the upload.
func (p *parallel) handle(ctx context.Context, o outcome) error {
	if o.err == nil && o.resp.status != http.StatusCreated && o.resp.status != http.StatusAccepted {
		// A proxy that cuts requests off may answer 200 by itself.
		o.err = fmt.Errorf("PUT %s: unexpected status %d", p.url.Redacted(), o.resp.status)
	}
	if o.err == nil {
		return p.acknowledged(o)
	}
	p.feed.failed(o.chunk)
	if status, ok := errors.AsType[*StatusError](o.err); ok && status.ofProxy() {
		if o.slot.tooLarge(o.chunk.Len()) {
			return nil
		}
		return o.err
	}
	if _, fatal := errors.AsType[*fatalError](o.err); fatal || ctx.Err() != nil {
		o.slot.unused()
	} else {
		o.slot.failed()
	}
	p.stale = p.stale || o.whole
	return p.wait(ctx, o.slot.begun, o.err)
}

// acknowledged takes a chunk that the server has stored.
func (p *parallel) acknowledged(o outcome) error {
	o.slot.stored(o.chunk.Len())
	p.feed.stored(o.chunk)
	p.progress()
	found, err := parseState(o.resp)
	if err != nil {
		return nil // it is asked for when all chunks are stored
	}
	if found.complete {
		p.remote = found
	}
	if found.url != "" && p.url == p.target { // with a ticket, which outlives the token
		if ticketed, err := p.target.Parse(found.url); err == nil && ticketed.Host == p.target.Host && ticketed.Scheme == p.target.Scheme {
			p.url = ticketed
		}
	}
	return nil
}

// send sends a chunk to the URL of the upload, with its digest.
func (p *parallel) send(ctx context.Context, to *url.URL, c chunk, s *slot) outcome {
	o := outcome{chunk: c, slot: s}
	if c.sum == nil {
		sum, err := sumOf(ctx, io.NewSectionReader(c.body, 0, c.Len()))
		if err != nil {
			o.err = err
			return o
		}
		o.chunk.sum = &sum
	}
	total := "*"
	if c.total >= 0 {
		total = fmt.Sprint(c.total)
	}
	header := p.header("bytes " + c.String() + "/" + total)
	header.Set("Content-Digest", "crc32c=:"+base64.StdEncoding.EncodeToString(o.chunk.sum.Bytes())+":")
	sent, ended := p.meter.sending()
	defer ended()
	o.resp, o.err = p.host.send(ctx, request{method: http.MethodPut, url: to, header: header, body: c.body, size: c.Len(), sent: sent})
	o.whole = sent.Load() == c.Len()
	return o
}

// header returns the header of a PUT. The first one to arrive creates the upload, so each
// has the name and the type of the file.
func (p *parallel) header(contentRange string) http.Header {
	h := http.Header{"Content-Range": {contentRange}}
	if p.src.ContentType != "" {
		h.Set("Content-Type", p.src.ContentType)
	}
	if p.src.Name != "" {
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": p.src.Name}))
	}
	return h
}
