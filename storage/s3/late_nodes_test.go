package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// nodesWithOneCache starts nodes that share locks and a cache, as those of one Redis do.
func nodesWithOneCache(t *testing.T, opts Options, n int) []*node {
	t.Helper()
	locker, cache := new(storage.MemoryLocker), new(storage.MemoryCache)
	var nodes []*node
	for range n {
		node := startNode(t, opts)
		node.Uploads = storage.New(node.store, locker, cache, storage.Options{
			Log: slog.New(slog.DiscardHandler), Now: node.now, Observer: storage.Observer{Event: node.onEvent},
		})
		nodes = append(nodes, node)
	}
	return nodes
}

// lateWrite is a running write whose source blocks before its last bytes.
type lateWrite struct {
	*storagetest.Gate
	up  storage.Upload
	err chan error
}

func startLateWrite(t *testing.T, n *node, id string, data []byte, r ranges.Range, first int64) *lateWrite {
	t.Helper()
	middle := r.Start + first
	l := &lateWrite{err: make(chan error, 1),
		Gate: storagetest.NewGate(bytes.NewReader(data[r.Start:middle]), bytes.NewReader(data[middle:r.End]))}
	go func() {
		var err error
		l.up, err = n.Write(t.Context(), id, storage.Chunk{Offset: r.Start, Length: r.Len(), Body: l.Gate})
		l.err <- err
	}()
	<-l.Reached
	return l
}

func (l *lateWrite) end() error {
	l.Open()
	return <-l.err
}

// Another node deletes the upload during a write: what the write stores is removed as soon
// as it ends, whatever the state of the upload was.
func TestF25AWriteDuringADeletionByAnotherNodeLeavesNothing(t *testing.T) {
	opts := bucket(t)
	for _, size := range []int64{200_000, threeCells} {
		for _, r := range []ranges.Range{ranges.Of(0, size), ranges.Of(size/3, size/3)} {
			for _, state := range []string{"unfinished", "finished"} {
				t.Run(fmt.Sprintf("%v of %d bytes, %s", r, size, state), func(t *testing.T) {
					nodes := nodesWithOneCache(t, opts, 2)
					c := &phone{t: t, node: nodes[1], data: storagetest.Content(25, size)}
					c.create(storage.Record{Size: size})
					late := startLateWrite(t, nodes[0], c.id, c.data, r, r.Len()-1)
					if c.send(ranges.Of(0, size/2)); state == "finished" {
						c.send(ranges.Of(0, size))
						c.wantFile(nodes[1])
					}
					if err := nodes[1].Delete(t.Context(), c.id); err != nil {
						t.Errorf("delete: %v", err)
					}
					if err := late.end(); !errors.Is(err, storage.ErrGone) {
						t.Errorf("the write: %v, want ErrGone", err)
					}
					if left := leftOf(t, nodes[0].store, c.id); len(left) > 0 {
						t.Errorf("left of the deleted upload: %v", left)
					}
				})
			}
		}
	}
}

// The write ends after the deletion has checked for the file, but before it ends.
func TestF25AWriteBetweenTwoStepsOfADeletionLeavesNothing(t *testing.T) {
	nodes := nodesWithOneCache(t, bucket(t), 2)
	data := storagetest.Content(25, 1000)
	id := mustCreate(t, nodes[1], storage.Record{Size: 1000})
	late := startLateWrite(t, nodes[0], id, data, ranges.Of(0, 1000), 999)
	var once sync.Once
	nodes[1].wire.before = func(op string, _ int) {
		if op == "delete" {
			once.Do(func() {
				if err := late.end(); !errors.Is(err, storage.ErrGone) {
					t.Errorf("the write: %v, want ErrGone", err)
				}
			})
		}
	}
	if err := nodes[1].Delete(t.Context(), id); err != nil {
		t.Errorf("delete: %v", err)
	}
	wantOnly(t, nodes[0].store, nodes[0].store.liveKey(id, "gone"))
}

// The deletion runs just before the file is created, and so finds none.
func TestF25AFileCreatedAfterItsDeletionIsRemoved(t *testing.T) {
	opts := bucket(t)
	for name, c := range map[string]struct {
		op   string
		make func(t *testing.T, n *node) (id string, finish func() error)
	}{
		"put at once":  {"put file", writes},
		"concatenated": {"complete", concatenates},
		"by a sweep":   {"complete", sweepConcatenates},
	} {
		for where, deleter := range map[string]int{"this node": 0, "another node": 1} {
			t.Run(name+", deleted by "+where, func(t *testing.T) {
				nodes := nodesWithOneCache(t, opts, 2)
				id, finish := c.make(t, nodes[0])
				var once sync.Once
				nodes[0].wire.before = func(op string, _ int) {
					if op == c.op {
						once.Do(func() {
							if err := nodes[deleter].Delete(t.Context(), id); err != nil {
								t.Errorf("delete: %v", err)
							}
						})
					}
				}
				if err := finish(); !errors.Is(err, storage.ErrGone) {
					t.Errorf("finish: %v, want ErrGone", err)
				}
				if left := leftOf(t, nodes[0].store, id); len(left) > 0 {
					t.Errorf("left of the deleted upload: %v", left)
				}
			})
		}
	}
}

func writes(t *testing.T, n *node) (string, func() error) {
	id := mustCreate(t, n, storage.Record{Size: 1000})
	return id, func() error {
		_, err := n.Write(t.Context(), id, storage.Chunk{Length: 1000, Body: zeroes(1000)})
		return err
	}
}

func concatenates(t *testing.T, n *node) (string, func() error) {
	id := createConcatenation(t, n)
	return id, func() error {
		_, err := n.Concat(t.Context(), id)
		return err
	}
}

func sweepConcatenates(t *testing.T, n *node) (string, func() error) {
	id := createConcatenation(t, n)
	return id, func() error { return n.Sweep(t.Context()) }
}

func createConcatenation(t *testing.T, n *node) string {
	t.Helper()
	var parts []string
	for range 2 {
		id := mustCreate(t, n, storage.Record{Size: layout.MinPart + 1, Partial: true})
		mustWrite(t, n, id, ranges.Of(0, layout.MinPart+1))
		parts = append(parts, id)
	}
	return mustCreate(t, n, storage.Record{Size: 2 * (layout.MinPart + 1), Parts: parts})
}

// A deletion that fails after its tombstone is written is completed by a retry, or by a
// sweep of any node.
func TestF25AnInterruptedDeletionIsCompleted(t *testing.T) {
	for name, complete := range map[string]func(t *testing.T, n, other *node, id string){
		"by trying again": func(t *testing.T, n, _ *node, id string) {
			if err := n.Delete(t.Context(), id); err != nil {
				t.Errorf("delete again: %v", err)
			}
		},
		"by trying again at another node": func(t *testing.T, _, other *node, id string) {
			if err := other.Delete(t.Context(), id); !errors.Is(err, storage.ErrGone) {
				t.Errorf("delete again: %v, want ErrGone", err)
			}
		},
		"by a sweep": func(t *testing.T, n, _ *node, _ string) {
			if err := n.Sweep(t.Context()); err != nil {
				t.Errorf("sweep: %v", err)
			}
		},
		"by a sweep of another node": func(t *testing.T, _, other *node, _ string) {
			if err := other.Sweep(t.Context()); err != nil {
				t.Errorf("sweep: %v", err)
			}
		},
	} {
		for _, sent := range []int64{1000, 70_000} {
			t.Run(fmt.Sprintf("%s, %d bytes were sent", name, sent), func(t *testing.T) {
				opts := bucket(t)
				n, other := startNode(t, opts), startNode(t, opts)
				id := mustCreate(t, n, storage.Record{Size: 70_000})
				mustWrite(t, n, id, ranges.Of(0, sent))
				n.wire.inject(fault{"delete", 1, fails})
				if err := n.Delete(t.Context(), id); !errors.Is(err, storage.ErrUnavailable) {
					t.Errorf("delete: %v, want ErrUnavailable", err)
				}
				n.wire.inject(fault{})
				complete(t, n, other, id)
				wantOnly(t, n.store, n.store.liveKey(id, "gone"))
			})
		}
	}
}

// If the responses to writing the tombstone are lost, the deletion checks whether it exists.
func TestF25ADeletionContinuesIfTheResponseToItsTombstoneIsLost(t *testing.T) {
	n := startNode(t, bucket(t))
	id := mustCreate(t, n, storage.Record{Size: 1000})
	mustWrite(t, n, id, ranges.Of(0, 1000))
	n.wire.inject(fault{"put gone", 1, doneButFail})
	if err := n.Delete(t.Context(), id); err != nil {
		t.Errorf("delete: %v", err)
	}
	wantOnly(t, n.store, n.store.liveKey(id, "gone"))
}

// A write does not replace bytes that another node has stored and acknowledged since it
// began, if both nodes share a cache.
func TestF26BytesAcknowledgedByAnotherNodeAreNotReplaced(t *testing.T) {
	for _, first := range []int64{0, 1000, layout.MinPart + 1000} {
		for _, r := range []ranges.Range{whole, ranges.Of(layout.MinPart, layout.MinPart), ranges.Of(layout.MinPart+5, 70_000)} {
			t.Run(fmt.Sprintf("%v after %d bytes", r, first), func(t *testing.T) {
				if first >= r.Len() {
					return
				}
				nodes := nodesWithOneCache(t, bucket(t), 2)
				data, other := storagetest.Content(1, threeCells), storagetest.Content(2, threeCells)
				c := &phone{t: t, node: nodes[1], data: data}
				c.create(storage.Record{Size: threeCells})
				late := startLateWrite(t, nodes[0], c.id, other, r, first)
				kept := storedOf(t, nodes[1], c.id, ranges.Of(r.Start, first/layout.MinPart*layout.MinPart))
				c.send(r)
				if err := late.end(); err != nil && !errors.Is(err, storage.ErrContentConflict) {
					t.Errorf("the write that began earlier: %v", err)
				}
				c.send(whole)
				want := slices.Clone(data)
				copy(want[kept.Start:kept.End], other[kept.Start:kept.End])
				c.data = want
				c.finish()
			})
		}
	}
}

// storedOf waits until all of r is stored, and returns it.
func storedOf(t *testing.T, n *node, id string, r ranges.Range) ranges.Range {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		up, err := n.Get(t.Context(), id)
		if err == nil && up.Has(r) {
			return r
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v was not stored: %v, %v", r, up.Received, err)
		}
	}
}

// If two clients send different files of one size to one URL concurrently, at most one
// succeeds.
func TestF26OfTwoFilesSentToOneURLConcurrentlyOneIsRefused(t *testing.T) {
	for _, size := range []int64{70_000, layout.MinPart, threeCells} {
		t.Run(fmt.Sprint(size, " bytes"), func(t *testing.T) {
			n := startNode(t, bucket(t))
			id := mustCreate(t, n, storage.Record{Size: size})
			files := [][]byte{storagetest.Content(1, size), storagetest.Content(2, size)}
			var late []*lateWrite
			for _, data := range files {
				late = append(late, startLateWrite(t, n, id, data, ranges.Of(0, size), min(size, layout.MinPart)-1))
			}
			var ending sync.WaitGroup
			errs := make([]error, len(late))
			for i, l := range late {
				ending.Go(func() { errs[i] = l.end() })
			}
			ending.Wait()
			if !slices.ContainsFunc(errs, func(err error) bool { return errors.Is(err, storage.ErrContentConflict) }) {
				t.Errorf("%v; want ErrContentConflict for one", errs)
			}
			for i, err := range errs {
				if err == nil {
					wantFileOf(t, n, id, files[i])
				}
			}
		})
	}
}

func wantFileOf(t *testing.T, n *node, id string, data []byte) {
	t.Helper()
	up, err := n.Get(t.Context(), id)
	if err != nil || !up.Finished {
		t.Fatalf("finished %v, %v", up.Finished, err)
	}
	file, err := n.Open(context.WithoutCancel(t.Context()), up)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := storagetest.Same(file, data); err != nil {
		t.Error(err)
	}
}
