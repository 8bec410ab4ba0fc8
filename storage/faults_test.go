package storage_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// script is the life of one upload as its client drives it.
type script struct {
	name     string
	gone     bool // it ends with the upload "it" deleted, otherwise finished with all of data
	parallel bool
	run      func(w *world, data []byte)
}

var chunks = storagetest.Chunks(fileSize, 3300)

var scripts = []script{
	{name: "chunks in order", run: func(w *world, data []byte) {
		w.create(storage.Record{ID: "it", Size: fileSize})
		for _, r := range chunks {
			w.send("it", data, r)
		}
	}},
	{name: "chunks in reverse", run: func(w *world, data []byte) {
		w.create(storage.Record{ID: "it", Size: fileSize})
		for _, r := range slices.Backward(chunks) {
			w.send("it", data, r)
		}
	}},
	{name: "all chunks at once, each twice", parallel: true, run: func(w *world, data []byte) {
		w.create(storage.Record{ID: "it", Size: fileSize})
		w.sendAtOnce("it", data, append(chunks, chunks...))
	}},
	{name: "chunks that overlap", run: func(w *world, data []byte) {
		w.create(storage.Record{ID: "it", Size: fileSize})
		for _, r := range []ranges.Range{{Start: 2500, End: 5500}, {Start: 0, End: 3500}, {Start: 3000, End: fileSize}} {
			w.send("it", data, r)
		}
	}},
	{name: "one request that is resumed", run: func(w *world, data []byte) {
		w.create(storage.Record{ID: "it", Size: fileSize})
		w.resume("it", data)
	}},
	{name: "a size declared last", parallel: true, run: func(w *world, data []byte) {
		w.create(storage.Record{ID: "it", Size: storage.Unknown})
		w.sendAtOnce("it", data, chunks)
		w.declare("it", fileSize)
	}},
	{name: "a size declared in the middle", run: func(w *world, data []byte) {
		w.create(storage.Record{ID: "it", Size: storage.Unknown})
		w.send("it", data, chunks[1])
		w.declare("it", fileSize)
		w.resume("it", data)
	}},
	{name: "a concatenation", run: func(w *world, data []byte) {
		w.create(storage.Record{ID: "one", Size: 4000, Partial: true})
		w.create(storage.Record{ID: "two", Size: fileSize - 4000, Partial: true})
		w.resume("two", data[4000:])
		w.resume("one", data[:4000])
		w.create(storage.Record{ID: "it", Size: fileSize, Parts: []string{"one", "two"}})
		w.concat("it")
	}},
	{name: "deleted half way", gone: true, run: func(w *world, data []byte) {
		w.create(storage.Record{ID: "it", Size: fileSize})
		w.send("it", data, chunks[0])
		w.delete("it")
	}},
	{name: "deleted when finished", gone: true, run: func(w *world, data []byte) {
		w.create(storage.Record{ID: "it", Size: fileSize})
		w.resume("it", data)
		w.delete("it")
	}},
}

func (w *world) sendAtOnce(id string, data []byte, chunks []ranges.Range) {
	order := rand.Perm(len(chunks))
	var wg sync.WaitGroup
	for _, i := range order {
		wg.Go(func() { w.send(id, data, chunks[i]) })
	}
	wg.Wait()
}

func (w *world) concat(id string) {
	if _, err := w.try(id, func(u *storage.Uploads) (storage.Upload, error) { return u.Concat(w.ctx, id) }); err != nil {
		w.Errorf("concatenate: %v", err)
	}
}

// wantEnd checks the state of the upload "it" at the end of the script.
func (w *world) wantEnd(s script, data []byte) {
	w.Helper()
	if s.gone {
		w.wantGone("it")
		return
	}
	w.wantFile("it", data)
}

// fault fails some operations of one kind in a row, beginning with the k-th.
type fault struct {
	reads   bool // fails reads rather than writes
	k, n    int
	outcome storagetest.Outcome
}

func (f fault) String() string {
	kind := map[bool]string{false: "write", true: "read"}[f.reads]
	return fmt.Sprintf("%s %d and %d more: %v", kind, f.k, f.n-1, f.outcome)
}

// inject injects the faults, and returns a count of the operations of their kind. Call
// it while no operation runs.
func (f fault) inject(w *world) *int {
	at := new(int)
	w.memory.Inject(func(op storagetest.Op) storagetest.Outcome {
		if op.Writes() == f.reads {
			return storagetest.Works
		}
		*at++
		if *at > f.k && *at <= f.k+f.n {
			return f.outcome
		}
		return storagetest.Works
	})
	return at
}

// faults returns all faults for a script with the given numbers of writes and reads.
func faults(writes, reads int) []fault {
	var all []fault
	for _, n := range []int{1, 3} {
		for k := range writes {
			all = append(all, fault{k: k, n: n, outcome: storagetest.Fails}, fault{k: k, n: n, outcome: storagetest.FailsButPersists})
		}
		for k := range reads {
			all = append(all, fault{reads: true, k: k, n: n, outcome: storagetest.Fails})
		}
	}
	return all
}

// forEachFault calls run for every fault that can occur in the script.
func (s script) forEachFault(t *testing.T, run func(t *testing.T, f fault)) {
	data := storagetest.Content(1, fileSize)
	count := func(f fault) int {
		w := newWorld(t, storage.Options{})
		n := f.inject(w)
		s.run(w, data)
		w.wantEnd(s, data)
		return *n
	}
	for _, f := range faults(count(fault{}), count(fault{reads: true})) {
		t.Run(f.String(), func(t *testing.T) { run(t, f) })
	}
}

// If any store operation fails, or succeeds but reports a failure, a client that retries
// succeeds, all earlier responses stay true, and each event is published once.
func TestEveryFaultIsRecoveredByRetrying(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	for _, s := range scripts {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.forEachFault(t, func(t *testing.T, f fault) {
				w := newWorld(t, storage.Options{})
				f.inject(w)
				s.run(w, data)
				w.wantEnd(s, data)
				for _, id := range []string{"one", "two", "it"} {
					w.wantEventsOnce(id)
				}
			})
		})
	}
}

// wantEventsOnce checks that no event of an upload was published twice, and that a
// finished upload's Finished event was published.
func (w *world) wantEventsOnce(id string) {
	w.Helper()
	w.memory.Inject(nil)
	up, err := w.memory.Load(w.ctx, id)
	if err != nil && !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrGone) {
		w.Errorf("load %s: %v", id, err)
	}
	events := w.events.of(id)
	if up.Finished && !slices.Contains(events, storage.Finished) {
		w.Errorf("events of %s: %v, although it is finished", id, events)
	}
	slices.Sort(events)
	if once := slices.Compact(slices.Clone(events)); len(once) != len(events) {
		w.Errorf("events of %s: %v, some of them twice", id, events)
	}
}

// The same, if the fault crashes the process and its memory is lost.
func TestEveryCrashIsRecoveredByRetrying(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	for _, s := range scripts {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.forEachFault(t, func(t *testing.T, f fault) {
				w := newWorld(t, storage.Options{})
				f.inject(w)
				w.crash = true
				s.run(w, data)
				w.restart()
				w.wantEnd(s, data)
			})
		})
	}
}
