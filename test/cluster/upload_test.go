package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/test"
)

// kind is how a client sends its file.
type kind int

const (
	tusClient   kind = iota // PATCH by PATCH; after any trouble it asks by HEAD where to go on
	rangeClient             // chunks with a Content-Range, shuffled, several at once; a broken one again, whole
)

// upload is a client with a file to send, and what servers have confirmed to it.
type upload struct {
	c       *cluster
	kind    kind
	content test.Content
	chunk   int64
	url     string // "" until a tus client has created it

	mu    sync.Mutex
	acked ranges.Set
}

// patience is how long a client waits for the answer to a request: longer than a
// lock outlives a holder that was killed.
const patience = 30 * time.Second

// clientHTTP is what clients send their requests with.
var clientHTTP = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

func newUpload(c *cluster, k kind, content test.Content, chunk int64) *upload {
	u := &upload{c: c, kind: k, content: content, chunk: chunk}
	if k == rangeClient {
		u.url = c.balancer.URL + "/files/" + fmt.Sprintf("range-%x", rand.Uint64())
	}
	return u
}

func (u *upload) id() string { return path.Base(u.address()) }

func (u *upload) address() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.url
}

// at is the URL of the upload at a certain node.
func (u *upload) at(n int) string { return u.c.nodes[n].URL(u.id()) }

// send uploads the file from where it is.
func (u *upload) send(ctx context.Context) error {
	if u.kind == rangeClient {
		return u.putAll(ctx, u.content.Chunks(u.chunk))
	}
	if u.address() == "" {
		if err := u.create(ctx); err != nil {
			return err
		}
	}
	return u.patchTo(ctx, u.content.Size)
}

// confirm records that a server has reported r.
func (u *upload) confirm(r ranges.Range) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.acked.Add(r)
}

// confirmed is how many bytes servers have said to have.
func (u *upload) confirmed() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.acked.Bytes()
}

// floor is the offset below which no server may fall any more.
func (u *upload) floor() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.acked.Prefix()
}

// sawOffset records the offset that a server has named in answer to a request that
// began when the floor was the given one.
func (u *upload) sawOffset(offset, floor int64, where string) {
	if offset < floor {
		u.c.t.Errorf("the offset went back from %d to %d in %s: %s", floor, offset, where, u.c.faults.history(u.id()))
	}
	u.confirm(ranges.Range{End: offset})
}

// wrong is the error for an answer that no client should get.
func (u *upload) wrong(method string, a test.Answer) error {
	return fmt.Errorf("%s %s: status %d: %s", method, u.id(), a.Status, a.Body)
}

// comeBack reports whether an answer asks to try again later.
func comeBack(status int) bool {
	return status == http.StatusServiceUnavailable || status == http.StatusLocked
}

// pause waits a little before the next try.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(50*time.Millisecond + rand.N(100*time.Millisecond)):
		return nil
	}
}

// putAll sends chunks in no order, three at once, until all are taken.
func (u *upload) putAll(ctx context.Context, chunks []ranges.Range) error {
	queue := make(chan ranges.Range, len(chunks))
	for _, n := range rand.Perm(len(chunks)) {
		queue <- chunks[n]
	}
	close(queue)
	const senders = 3
	errs := make(chan error, senders)
	for range senders {
		go func() {
			for r := range queue {
				if err := u.put(ctx, u.address(), r); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	var first error
	for range senders {
		if err := <-errs; first == nil {
			first = err
		}
	}
	return first
}

// put sends one chunk until it is taken.
func (u *upload) put(ctx context.Context, url string, r ranges.Range) error {
	client := &test.Client{HTTP: clientHTTP, URL: url, Content: u.content}
	for {
		floor := u.floor()
		answer, err := client.Put(ctx, r)
		switch {
		case err == nil && (answer.Status == http.StatusCreated || answer.Status == http.StatusAccepted):
			u.confirm(r)
			return u.sawNext(answer, floor)
		case err == nil && !comeBack(answer.Status):
			return u.wrong("PUT "+r.String(), answer)
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("PUT %v of %s: %w; the last answer was %d", r, u.id(), err, answer.Status)
		}
	}
}

// sawNext records the offset in the answer to a PUT.
func (u *upload) sawNext(answer test.Answer, floor int64) error {
	offset := u.content.Size
	if answer.Status == http.StatusAccepted {
		var last int64
		if len(answer.State.NextExpectedRanges) != 1 {
			return u.wrong("PUT", answer)
		}
		if _, err := fmt.Sscanf(answer.State.NextExpectedRanges[0], "%d-%d", &offset, &last); err != nil {
			return u.wrong("PUT", answer)
		}
	}
	u.sawOffset(offset, floor, "the answer to a PUT")
	return nil
}
