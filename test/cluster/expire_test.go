package cluster

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// The uploads are abandoned in all states, one of their nodes is killed in
// between, and a fifth of them is finished: of these the files stay.
func TestF16AbandonedUploadsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	const expireAfter = 8 * time.Second
	c := start(t, "--expire-after", expireAfter.String(), "--sweep-interval", "500ms")
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	l := c.newLoad(perScenario, 11)
	var kept, abandoned []*upload
	for n, u := range l.uploads {
		if stage(n%5) == whole {
			kept = append(kept, u)
		} else {
			abandoned = append(abandoned, u)
		}
		if err := u.abandon(ctx, stage(n%5)); err != nil {
			t.Error(err)
		}
	}
	c.killAndRestart(0, 0)
	for _, u := range abandoned {
		if err := u.waitGone(ctx); err != nil {
			t.Error(err)
		}
	}
	c.wantOnlyFiles(kept...)
	for _, u := range kept {
		if err := u.verify(); err != nil {
			t.Error(err)
		}
	}
}

// stage is how far a client comes before it disappears.
type stage int

const (
	whole   stage = iota // it finishes
	begun                // it has created the upload, or sent one chunk
	halfway              // it has sent half of the chunks
	broken               // it breaks off in the middle of the body
	nearly               // it has sent all but the first or last chunk
)

// abandon sends as much of the file as the stage says.
func (u *upload) abandon(ctx context.Context, s stage) error {
	if u.kind == tusClient {
		if err := u.create(ctx); err != nil {
			return err
		}
	}
	if s == whole {
		return u.send(ctx)
	}
	chunks := u.content.Chunks(u.chunk)
	switch s {
	case begun:
		chunks = chunks[:1]
	case halfway, broken:
		chunks = chunks[:(len(chunks)+1)/2]
	case nearly:
		chunks = chunks[1:]
	}
	var err error
	switch {
	case u.kind == rangeClient:
		err = u.putAll(ctx, chunks)
	case s != begun:
		err = u.patchTo(ctx, min(int64(len(chunks))*u.chunk, u.content.Size-1))
	}
	if err == nil && s == broken {
		u.breakOff(ctx)
	}
	return err
}

// breakOff begins a request for the rest of the file, and ends in the middle.
func (u *upload) breakOff(ctx context.Context) {
	r := ranges.Range{Start: u.floor(), End: u.content.Size}
	half := u.content.Part(ranges.Of(r.Start, r.Len()/2))
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, u.address(), io.MultiReader(half, brokenReader{}))
	if err != nil {
		u.c.t.Error(err)
		return
	}
	req.ContentLength = r.Len()
	req.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", r.Start, r.End-1, u.content.Size))
	if resp, err := clientHTTP.Do(req); err == nil {
		u.c.t.Errorf("half of a chunk was answered with %d", resp.StatusCode)
		_ = resp.Body.Close()
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// waitGone waits until the upload has expired: all that a HEAD may say before that
// is how far it is.
func (u *upload) waitGone(ctx context.Context) error {
	for {
		answer, err := u.tus(ctx, http.MethodHead, u.address(), nil)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("%s does not expire", u.id())
		case err == nil && answer.Status == http.StatusNotFound:
			return nil
		case err == nil && answer.Status != http.StatusOK && answer.Status != http.StatusLocked:
			return u.wrong(http.MethodHead, answer)
		case err == nil && answer.Status == http.StatusOK && answer.Header.Get("Upload-Expires") == "":
			return fmt.Errorf("no answer says when %s expires", u.id())
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}
