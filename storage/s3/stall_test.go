package s3

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// staller is an S3 whose first answers to an operation stall in the middle of their bodies.
type staller struct {
	op string

	mu    sync.Mutex
	times int
}

// RoundTrip implements http.RoundTripper.
func (s *staller) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := plain.RoundTrip(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && operation(r) == s.op && s.times > 0 {
		s.times--
		half := io.LimitReader(answer.Body, answer.ContentLength/2)
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(half, untilDone{r}), answer.Body}
	}
	return answer, err
}

// untilDone yields nothing until the request is ended.
type untilDone struct{ r *http.Request }

// Read implements io.Reader.
func (u untilDone) Read([]byte) (int, error) {
	<-u.r.Context().Done()
	return 0, u.r.Context().Err()
}

// An answer that stalls in its body keeps nobody waiting for ever: what can be asked for
// again is, and the rest fails as what may pass.
func TestAnAnswerThatStallsInItsBodyIsAskedForAgain(t *testing.T) {
	opts := bucket(t)
	c := &phone{t: t, node: startNode(t, opts), data: storagetest.Content(7, twoCells)}
	c.create(storage.Record{Size: twoCells})
	c.send(ranges.Of(0, minPart+1000))
	opts.patience = 3 * time.Second
	for _, op := range []string{"list", "get layout", "list parts", "get record"} {
		n := startNode(t, opts)
		n.wire.next = &staller{op: op, times: 1}
		up, err := n.store.Load(t.Context(), c.id)
		if err != nil || up.Offset() != minPart+1000 {
			t.Errorf("%s: offset %d, %v", op, up.Offset(), err)
		}
	}
}

func TestAFileThatStallsFailsAsWhatMayPass(t *testing.T) {
	opts := bucket(t)
	c := &phone{t: t, node: startNode(t, opts), data: storagetest.Content(7, twoCells)}
	c.create(storage.Record{Size: twoCells})
	c.send(ranges.Of(0, 3000))
	opts.patience = time.Second
	n := startNode(t, opts)
	n.wire.next = &staller{op: "get fragment", times: 1}
	up := mustLoad(t, n, c.id)
	if _, err := n.store.assemble(t.Context(), up, ranges.Of(0, 3000), ranges.Set{}, nil); !storage.Transient(err) {
		t.Errorf("a fragment: %v, want an error that may pass", err)
	}
	c.send(ranges.Of(0, twoCells))
	c.finish()
	n.wire.next = &staller{op: "get file", times: 1}
	body, err := n.store.Open(t.Context(), mustLoad(t, n, c.id), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if !isStalled(err) || !storage.Transient(err) || !bytes.Equal(text, c.data[:len(text)]) {
		t.Errorf("the file, after %d bytes: %v", len(text), err)
	}
}

// conflict is an S3 over a file system, from which another request has just removed the
// directory that one of op needs.
type conflict struct {
	op   string
	once sync.Once
}

// RoundTrip implements http.RoundTripper.
func (c *conflict) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	if operation(r) == c.op {
		c.once.Do(func() {
			answer = refusal(r, http.StatusConflict)
			answer.Body = io.NopCloser(strings.NewReader("<Error><Code>ExistingObjectIsDirectory</Code></Error>"))
		})
	}
	if answer != nil {
		return answer, nil
	}
	return plain.RoundTrip(r)
}

func TestAPutBesideTheRemovalOfItsDirectoryIsTriedAgain(t *testing.T) {
	for _, op := range []string{"put claim", "put record"} {
		n := startNode(t, bucket(t))
		n.wire.next = &conflict{op: op}
		if _, err := n.Create(t.Context(), storage.Record{Key: "videos/it.mp4", Size: 1}); err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
}
