package s3

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// node is a process with the core over a bucket.
type node struct {
	*storage.Uploads
	store *Store
	wire  *wire

	mu        sync.Mutex
	delivered map[string]int   // how many Finished events were delivered, by upload id
	late      time.Duration    // how far its clock is ahead
	clock     func() time.Time // its clock, if not the system's

	received func(storage.Upload) // if set, called with the acknowledged state
}

// startNode starts a node with empty caches. At the end of the test it must have released
// all buffer memory.
func startNode(t *testing.T, opts Options) *node {
	t.Helper()
	n := &node{wire: newWire(), delivered: map[string]int{}}
	opts.Middleware = n.wire.wrap
	n.store = mustOpen(t, opts)
	n.wire.reset()
	n.Uploads = n.core(new(storage.MemoryCache))
	return n
}

func (n *node) core(cache storage.Cache) *storage.Uploads {
	return storage.New(n.store, new(storage.MemoryLocker), cache, storage.Options{
		ExpireAfter: time.Hour, Log: slog.New(slog.DiscardHandler), Now: n.now, Observer: storage.Observer{Event: n.onEvent, Progress: n.progress},
	})
}

func (n *node) now() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.clock != nil {
		return n.clock().Add(n.late)
	}
	return time.Now().Add(n.late)
}

func (n *node) progress(_ context.Context, up storage.Upload) {
	if n.received != nil {
		n.received(up)
	}
}

func (n *node) onEvent(_ context.Context, e storage.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e.Type == storage.Finished {
		n.delivered[e.Upload.ID]++
	}
}

// flush removes all needless objects without the delay.
func (s *Store) flush(ctx context.Context) error {
	later := time.Now().Add(time.Hour)
	return s.client.Remove(ctx, append(s.needless.takeSince(later), s.retired.takeSince(later)...)...)
}

// sweepLater sweeps with the clock two days ahead.
func (n *node) sweepLater(t *testing.T) {
	t.Helper()
	n.mu.Lock()
	n.late = 48 * time.Hour
	n.mu.Unlock()
	if err := n.Sweep(t.Context()); err != nil {
		t.Errorf("sweep: %v", err)
	}
}

// chunk returns the chunk of data in r, of known length.
func chunk(data []byte, r ranges.Range) storage.Chunk {
	return storage.Chunk{Offset: r.Start, Length: r.Len(), Body: bytes.NewReader(data[r.Start:r.End])}
}

// phone is a client that uploads data. It retries transient errors.
type phone struct {
	t    *testing.T
	node *node
	id   string
	data []byte

	mu    sync.Mutex
	acked ranges.Set
	fresh []*node // asked once each; the first that finds the upload complete finishes it
}

const clientAttempts = 8

func (c *phone) create(rec storage.Record) {
	c.t.Helper()
	for range clientAttempts {
		up, err := c.node.Create(c.t.Context(), rec)
		if errors.Is(err, storage.ErrExists) {
			c.id = rec.ID // a response was lost: the upload is this client's own
			return
		}
		if err == nil {
			c.id = up.ID
			return
		}
		if !storage.Transient(err) {
			c.t.Fatalf("create: %v", err)
		}
	}
	c.t.Fatal("the upload was not created")
}

// send sends one chunk until it is acknowledged.
func (c *phone) send(r ranges.Range) {
	c.t.Helper()
	for range clientAttempts {
		up, err := c.node.Write(c.t.Context(), c.id, chunk(c.data, r))
		if err == nil {
			if !up.Has(r) {
				c.t.Errorf("%v was acknowledged, but is not in %v", r, up.Received)
			}
			c.ack(r)
			return
		}
		if !storage.Transient(err) {
			c.t.Errorf("write %v: %v", r, err)
			return
		}
		c.check(c.node)
	}
	c.t.Errorf("%v was not accepted", r)
}

func (c *phone) ack(r ranges.Range) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acked.Add(r)
}

// check checks that a node reports all acknowledged bytes as received.
func (c *phone) check(n *node) {
	c.t.Helper()
	c.mu.Lock()
	acked := c.acked.Clone()
	c.mu.Unlock()
	up, err := n.Get(c.t.Context(), c.id)
	if storage.Transient(err) {
		return
	}
	if err != nil {
		c.t.Errorf("get: %v", err)
		return
	}
	for _, r := range acked.Ranges() {
		if !up.Has(r) {
			c.t.Errorf("%v was acknowledged, but is no longer in %v", r, up.Received)
		}
	}
}

// checkFresh is check for a node that has just started.
func (c *phone) checkFresh(opts Options) {
	c.t.Helper()
	n := startNode(c.t, opts)
	c.mu.Lock()
	c.fresh = append(c.fresh, n)
	c.mu.Unlock()
	c.check(n)
}

// deliveries returns how many times the client's node and the fresh ones delivered the event.
func (c *phone) deliveries() (total int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range append(c.fresh, c.node) {
		n.mu.Lock()
		total += n.delivered[c.id]
		n.mu.Unlock()
	}
	return total
}

// finish polls the upload until it is finished, and checks its file.
func (c *phone) finish() {
	c.t.Helper()
	for range clientAttempts {
		up, err := c.node.Get(c.t.Context(), c.id)
		if err != nil && !storage.Transient(err) {
			c.t.Fatalf("get: %v", err)
		}
		if err == nil && up.Finished {
			c.wantFile(c.node)
			return
		}
	}
	c.t.Fatal("the upload was not finished")
}

// wantFile checks that a node has the file, byte for byte.
func (c *phone) wantFile(n *node) {
	c.t.Helper()
	err := c.read(n)
	for try := 1; storage.Transient(err) && try < clientAttempts; try++ {
		err = c.read(n)
	}
	if err != nil {
		c.t.Errorf("read: %v", err)
	}
}

func (c *phone) read(n *node) error {
	up, err := n.Get(c.t.Context(), c.id)
	if err != nil {
		return err
	}
	file, err := n.Open(c.t.Context(), up)
	if err != nil {
		return err
	}
	return errors.Join(storagetest.Same(file, c.data), file.Close())
}

// leftIn lists the keys of the objects in a bucket, except marks that expire by age, and the
// keys of its multipart uploads.
func leftIn(t *testing.T, s *Store) (keys, multiparts []string) {
	t.Helper()
	if err := s.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for e, err := range s.client.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if e.Size > 0 || !strings.HasPrefix(e.Key, s.doneKey("")) {
			keys = append(keys, e.Key)
		}
	}
	for m, err := range s.client.Multiparts(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		multiparts = append(multiparts, m.Key)
	}
	return keys, multiparts
}

// wantOnly checks that the bucket holds these objects and nothing else.
func wantOnly(t *testing.T, s *Store, want ...string) {
	t.Helper()
	keys, multiparts := leftIn(t, s)
	if len(keys) != len(want) || len(want) > 0 && keys[0] != want[0] || len(multiparts) > 0 {
		t.Errorf("left in the bucket: objects %v, want %v; multipart uploads %v", keys, want, multiparts)
	}
}

// parallel runs call for 0 to n-1, at most atOnce of them concurrently.
func parallel(n, atOnce int, call func(i int)) {
	var wg sync.WaitGroup
	sem := make(chan struct{}, atOnce)
	for i := range n {
		sem <- struct{}{}
		wg.Go(func() {
			defer func() { <-sem }()
			call(i)
		})
	}
	wg.Wait()
}
