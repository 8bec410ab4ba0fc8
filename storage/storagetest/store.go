// Package storagetest holds the suites that every implementation of the
// contracts in package storage has to pass, and Memory, a Store that can be made
// to fail at any operation.
//
// A driver's own test opens it and calls the suite; see storage/disk for one.
package storagetest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// Harness opens the store under test. Each harness has data of its own.
type Harness struct {
	// Open opens the store. The first call finds it empty; each later one stands
	// for the process that comes after the one before was killed: it finds the same
	// data, and nothing may be brought to safety in between. A Write may still be
	// running in the store that was open before, and may fail.
	Open func() storage.Store

	// Node opens the same data beside the store that is open, as another node
	// does. It is nil if the store serves one process only.
	Node func() storage.Store

	// Lose takes the finished file of an upload away behind the store's back, or
	// the end of it. It is nil if the suite shall not try that.
	Lose func(id string)

	// Move takes the finished file of an upload away, as an app does that has acknowledged
	// it. The store must be a storage.Cleaner.
	Move func(up storage.Upload)

	// Key chooses the key of an upload's file. It is nil if the suite shall leave
	// that to the store.
	Key func(id string) string

	// Left names what there is of a deleted upload but the mark that it is gone. It is
	// nil if the suite shall not ask.
	Left func(id string) []string

	// Size is how large the uploads of the suite are, in bytes; 0 is 200,003. A
	// store that cuts uploads into cells names one that needs several.
	Size int64
}

// TestStore checks that a store keeps every promise of storage.Store: within one
// process, and when that is killed after each step.
func TestStore(t *testing.T, open func(t *testing.T) Harness) {
	for _, c := range storeCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(newFixture(t, open(t), false))
		})
		t.Run(c.name+", killed after each step", func(t *testing.T) {
			t.Parallel()
			c.run(newFixture(t, open(t), true))
		})
	}
	if open(t).Node == nil {
		return
	}
	for _, c := range nodeCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(newFixture(t, open(t), false))
		})
	}
}

// storeCase is one promise of a Store.
type storeCase struct {
	name string
	run  func(*fixture)
}

func storeCases() []storeCase {
	return slices.Concat(createCases(), writeCases(), finishCases(), checksumCases(), deleteCases(), lateCases(), rememberCases(), deletePendingCases())
}

// fixture is a store under test, with steps that must succeed.
type fixture struct {
	*testing.T
	h       Harness
	store   storage.Store
	ctx     context.Context
	size    int64
	killing bool // after each step

	mu       sync.Mutex
	reported map[string]*ranges.Set // what writes have reported, by upload id
}

func newFixture(t *testing.T, h Harness, killing bool) *fixture {
	size := h.Size
	if size == 0 {
		size = 200_003
	}
	return &fixture{T: t, h: h, store: h.Open(), ctx: t.Context(), size: size, killing: killing,
		reported: map[string]*ranges.Set{}}
}

// step ends one step of a test.
func (f *fixture) step() {
	if f.killing {
		f.store = f.h.Open()
	}
}
