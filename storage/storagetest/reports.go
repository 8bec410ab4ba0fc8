package storagetest

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// reports takes what one Write reports as durable, and checks how it does so. It
// may also report what another write stored.
type reports struct {
	t      testing.TB
	inside atomic.Int32 // calls in progress
	ended  atomic.Bool  // the Write has returned

	mu  sync.Mutex
	set ranges.Set
}

func newReports(t testing.TB) *reports {
	return &reports{t: t}
}

// durable receives what was stored.
func (r *reports) durable(got ranges.Range) {
	if r.inside.Add(1) != 1 {
		r.t.Error("two ranges were reported at the same time")
	}
	defer r.inside.Add(-1)
	if r.ended.Load() {
		r.t.Errorf("%v was reported after its Write had returned", got)
	}
	if !got.Valid() {
		r.t.Errorf("the range from %d to %d was reported", got.Start, got.End)
		return
	}
	runtime.Gosched() // a chance for another call to come in, if one can
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set.Add(got)
}

// end says that Write has returned.
func (r *reports) end() { r.ended.Store(true) }

// stored is to be given to Store.Write: it is durable, and returns the upload as
// it was when the Write began, with what was reported since.
func (r *reports) stored(up storage.Upload) func(storage.Extent) storage.Upload {
	known := up.Clone()
	return func(p storage.Extent) storage.Upload {
		r.durable(p.Range)
		known.Add(p)
		return known.Clone()
	}
}

// soFar is what has been reported until now.
func (r *reports) soFar() ranges.Set {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.set.Clone()
}
