package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
)

// text is the content of an object, and metadataName and metadataValue its metadata.
const (
	text          = "holdfast tries what this server can do"
	metadataName  = "holdfast"
	metadataValue = "probe"
)

// plain is an object without checksum.
func (p *prober) plain(name string) api.Object {
	o := api.JSONObject(p.key(name), []byte(text))
	o.Metadata = map[string]string{metadataName: metadataValue}
	return o
}

// objects checks the requests about single objects that everything else relies on.
func (p *prober) objects(ctx context.Context) error {
	o := p.plain("object")
	if err := p.client.Put(ctx, o); err != nil {
		return p.refused(checkObjects, "store an object", "s3:PutObject", err)
	}
	h, err := p.client.Head(ctx, o.Key)
	switch {
	case errors.Is(err, api.ErrMissing):
		p.add(checkObjects, Fails, "S3 does not find an object that it has just stored: holdfast needs a server that is consistent after a write")
		return nil
	case err != nil:
		return p.refused(checkObjects, "read the header of an object", "s3:GetObject", err)
	case h.Size != int64(len(text)) || h.Metadata[metadataName] != metadataValue:
		p.add(checkObjects, Fails, "S3 does not keep the size and metadata of an object: holdfast can't work without them")
		return nil
	}
	if err := p.readRange(ctx, o.Key); err != nil {
		return p.refused(checkObjects, "read an object", "s3:GetObject", err)
	}
	return errors.Join(p.missing(ctx), p.listing(ctx, o.Key))
}

func (p *prober) readRange(ctx context.Context, key string) error {
	body, err := p.client.Open(ctx, key, 2, 5)
	if err != nil {
		return err
	}
	defer body.Close()
	got, err := io.ReadAll(body)
	if err == nil && string(got) != text[2:7] {
		p.add(checkObjects, Fails, "S3 ignores the range of a GET: holdfast can't work without ranges")
		return nil
	}
	if err == nil {
		p.add(checkObjects, Works, "")
	}
	return err
}

// missing checks that an object that does not exist is reported as that. Without the
// permission to list, Amazon S3 responds with 403 (API reference, HeadObject).
func (p *prober) missing(ctx context.Context) error {
	_, err := p.client.Head(ctx, p.base+"missing")
	if errors.Is(err, api.ErrMissing) {
		p.add(checkMissing, Works, "")
		return nil
	}
	if err == nil {
		p.add(checkMissing, Fails, "S3 finds an object that does not exist: holdfast can't work with that")
		return nil
	}
	return p.refused(checkMissing, "say whether an object exists", "s3:ListBucket on the bucket", err)
}

// leftAfter is the age after which objects of other runs are removed: these were interrupted.
const leftAfter = time.Hour

// listing checks that a new object is listed.
func (p *prober) listing(ctx context.Context, key string) error {
	prefix := strings.TrimSuffix(p.base, "/")
	prefix = prefix[:strings.LastIndex(prefix, "/")+1]
	found := false
	for e, err := range p.client.List(ctx, prefix) {
		if err != nil {
			return p.refused(checkListing, "list objects", "s3:ListBucket on the bucket", err)
		}
		found = found || e.Key == key
		if !strings.HasPrefix(e.Key, p.base) && time.Since(e.Stored) > leftAfter {
			p.mu.Lock()
			p.keys = append(p.keys, e.Key)
			p.mu.Unlock()
		}
	}
	if !found {
		p.add(checkListing, Fails, "S3 does not list an object that it has just stored: holdfast needs a server whose listings are consistent after a write")
		return nil
	}
	p.add(checkListing, Works, "")
	return nil
}

// writersAtOnce is how many writers try to create one object at once.
const writersAtOnce = 8

// conditionalPuts checks that of several writers one creates an object.
func (p *prober) conditionalPuts(ctx context.Context) error {
	err := p.putOnce(ctx, "once")
	switch {
	case err != nil && api.Status(err) == http.StatusForbidden:
		return p.refused(checkConditional, "store an object with If-None-Match", "s3:PutObject", err)
	case api.Refused(err):
		p.notConditional(fmt.Sprintf("S3 refuses If-None-Match on a put (%s)", reason(err)))
		return nil
	case err != nil:
		return err
	}
	switch err = p.putOnce(ctx, "once"); {
	case err == nil:
		p.notConditional("S3 ignores If-None-Match on a put")
		return nil
	case !errors.Is(err, api.ErrTaken):
		return err
	}
	created, err := p.putAtOnce(ctx)
	if created > 1 {
		p.notConditional(fmt.Sprintf("S3 lets %d of %d concurrent writers create one object in spite of If-None-Match", created, writersAtOnce))
		return nil
	}
	if err == nil {
		p.add(checkConditional, Works, "")
	}
	return err
}

func (p *prober) putOnce(ctx context.Context, name string) error {
	o := p.plain(name)
	o.IfAbsent = true
	return p.client.Put(ctx, o)
}

// putAtOnce returns how many of several concurrent writers have created one object.
func (p *prober) putAtOnce(ctx context.Context) (created int32, err error) {
	var writers sync.WaitGroup
	var count atomic.Int32
	errs := make([]error, writersAtOnce)
	for i := range errs {
		writers.Go(func() {
			errs[i] = p.putOnce(ctx, "at-once")
			if errs[i] == nil {
				count.Add(1)
			}
			if errors.Is(errs[i], api.ErrTaken) {
				errs[i] = nil
			}
		})
	}
	writers.Wait()
	return count.Load(), errors.Join(errs...)
}

// notConditional adds the result that S3 does not decide between writers.
func (p *prober) notConditional(what string) {
	p.lacks(checkConditional, what+": "+p.decider(), func(can *api.Abilities) { can.PutIfAbsent = false })
}

func (p *prober) decider() string {
	if p.opts.Shared {
		return "Redis decides between nodes that create the same object at once; no upload is created while it is down"
	}
	return "only one holdfast may use this bucket; for several, set --redis, which then decides between them"
}

// remove removes the objects of this run.
func (p *prober) remove(ctx context.Context) error {
	if p.failedAt(checkObjects) {
		return nil // nothing was stored
	}
	p.report.Can.BatchDelete = true
	err := p.client.Remove(ctx, p.keys...)
	if err != nil {
		single := *p.client
		single.Can.BatchDelete = false
		if singleErr := single.Remove(ctx, p.keys...); singleErr != nil {
			return p.refused(checkRemoval, "remove an object", "s3:DeleteObject", singleErr)
		}
		p.lacks(checkRemoval, fmt.Sprintf("S3 refuses to remove many objects with one request (%v): each takes one of its own", err),
			func(can *api.Abilities) { can.BatchDelete = false })
	}
	if _, headErr := p.client.Head(ctx, p.keys[0]); headErr == nil {
		p.add(checkRemoval, Fails, "S3 still finds an object that it has removed: holdfast can't work with that")
	} else if err == nil {
		p.add(checkRemoval, Works, "")
	}
	return nil
}

func (p *prober) failedAt(check string) bool {
	for _, r := range p.report.Results {
		if r.Check == check && r.Level == Fails {
			return true
		}
	}
	return false
}

// reader returns a body of n bytes.
func reader(n int) *bytes.Reader { return bytes.NewReader(bytes.Repeat([]byte{'x'}, n)) }
