package s3

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// A chunk that differs from bytes that were acknowledged before does not replace them, even
// if it makes the fragments be merged.
func TestBytesThatWereStoredFirstStayWhenFragmentsAreMerged(t *testing.T) {
	n := startNode(t, bucket(t))
	c := inFragments(t, n, layout.MaxFragments)
	const stored = layout.MaxFragments * 100
	different := slices.Clone(c.data)
	for i := stored - 50; i < stored; i++ {
		different[i] ^= 0xff
	}
	n.wire.reset()
	if _, err := n.Write(t.Context(), c.id, chunk(different, ranges.Range{Start: stored - 50, End: stored + 100})); err != nil {
		t.Fatal(err)
	}
	if calls := n.wire.calls(); calls["put fragment"] != 2 {
		t.Errorf("requests %v, want a fragment and the merged one", calls)
	}
	c.send(ranges.Range{Start: stored + 100, End: layout.MinPart})
	c.finish()
}

// A flush stores nothing where there are many fragments already.
func TestAFlushDoesNotExceedTheNumberOfFragments(t *testing.T) {
	n := startNode(t, bucket(t))
	c := inFragments(t, n, layout.MaxFragments)
	const stored = layout.MaxFragments * 100
	gate := storagetest.NewGate(bytes.NewReader(c.data[stored:stored+100]), strings.NewReader(""))
	done := make(chan error)
	go func() {
		_, err := n.Write(t.Context(), c.id, storage.Chunk{Offset: stored, Length: 100, Body: gate})
		done <- err
	}()
	<-gate.Reached
	n.wire.reset()
	if err := n.store.Flush(t.Context(), c.id); err != nil {
		t.Error(err)
	}
	if calls := n.wire.calls(); len(calls) > 0 {
		t.Errorf("the flush makes requests: %v", calls)
	}
	gate.Open()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
