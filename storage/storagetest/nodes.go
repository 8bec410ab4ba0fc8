package storagetest

import (
	"bytes"
	"errors"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// nodeCases are for stores that serve several nodes at once.
func nodeCases() []storeCase {
	return []storeCase{
		{"two nodes fill and finish one upload", nodesFillOneUpload},
		{"of creations on two nodes one succeeds", nodesCreateOnce},
		{"a size declared on one node holds on the other", nodesDeclareOnce},
		{"a node that was thought dead harms nothing", nodeThoughtDead},
		{"what one node deletes is gone on the other", nodesDelete},
	}
}

func (f *fixture) nodes() [2]storage.Store { return [2]storage.Store{f.store, f.h.Node()} }

func nodesFillOneUpload(f *fixture) {
	nodes := f.nodes()
	data := Content(1, f.size)
	up := f.create(f.size)
	chunks := Chunks(f.size, f.size/8+1)
	together(2*len(chunks), func(i int) error {
		r := chunks[i/2] // each chunk on both
		f.putFrom(nodes[i%2], up, r, cut(data, r))
		return nil
	})
	complete := f.load(up.ID)
	errs := together(2, func(i int) error { return f.finishOnly(nodes[i], complete.Clone()) })
	if err := errors.Join(errs...); err != nil {
		f.Errorf("finish on two nodes: %v", err)
	}
	for _, f.store = range nodes {
		f.wantFile(up.ID, data)
	}
}

func nodesCreateOnce(f *fixture) {
	nodes := f.nodes()
	id := storage.NewID()
	errs := together(8, func(i int) error {
		return nodes[i%2].Create(f.ctx, storage.Record{ID: id, Size: int64(100 + i), ClientChosenID: true, Created: time.Now().UTC()})
	})
	for _, f.store = range nodes {
		f.wantOneCreation(id, errs)
	}
}

func nodesDeclareOnce(f *fixture) {
	nodes := f.nodes()
	up := f.create(storage.Unknown)
	f.setSize(up.ID, f.size)
	if err := nodes[1].SetSize(f.ctx, up.ID, f.size+1); !errors.Is(err, storage.ErrSizeMismatch) {
		f.Errorf("declare another size on another node: %v, want ErrSizeConflict", err)
	}
	f.store = nodes[1]
	f.finishAfter(up, f.size)
}

// The zombie of F8: its part arrives after the upload was continued
// and finished elsewhere.
func nodeThoughtDead(f *fixture) {
	nodes := f.nodes()
	data, other := Content(1, f.size), Content(2, f.size)
	up := f.create(f.size)
	src := NewGate(bytes.NewReader(data[:f.size/2]), bytes.NewReader(other[f.size/2:]))
	rep := newReports(f)
	done := make(chan error, 1)
	go func() { done <- nodes[0].Write(f.ctx, up, chunk(0, src), rep.stored(up)) }()
	<-src.Reached
	f.store = nodes[1]
	f.put(up, data, ranges.Of(0, f.size))
	f.finish(up.ID, data)
	src.Open()
	if err := <-done; err != nil {
		f.Errorf("a write of bytes that are all there: %v", err)
	}
	for _, f.store = range nodes {
		f.wantFile(up.ID, data)
	}
}

func nodesDelete(f *fixture) {
	nodes := f.nodes()
	data := Content(1, f.size)
	for _, state := range states {
		f.store = nodes[0]
		up := f.inState(state, data)
		f.store = nodes[1]
		f.delete(up.ID)
		for _, f.store = range nodes {
			f.wantGone(up)
		}
	}
}
