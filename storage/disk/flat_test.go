package disk

import (
	"bytes"
	"context"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
)

// Cost is counted in bytes read and allocations: their mean, as the depth of a tree of ranges
// depends on chance.
func TestF31WriteCostDoesNotDependOnTheNumberOfRanges(t *testing.T) {
	const stores = 10
	var few, many float64
	for range stores {
		f, m := writeCosts(t)
		few, many = few+f/stores, many+m/stores
	}
	if many > few+20 {
		t.Errorf("a write allocates %v times with 3,000 ranges, %v with the first", many, few)
	}
}

// writeCosts returns how often a write of one byte allocates, with the first ranges and with
// 3,000.
func writeCosts(t *testing.T) (few, many float64) {
	t.Helper()
	fsys := newMemFS("/srv")
	store, err := openMem(fsys, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	rec := storage.Record{ID: lifeID, Size: 1 << 30}
	if err := store.Create(ctx, rec); err != nil {
		t.Fatal(err)
	}
	up := storage.Upload{Record: rec}
	at := int64(0)
	writeOne := func() {
		at += 2
		c := storage.Chunk{Offset: at, Length: 1, Body: bytes.NewReader([]byte("x"))}
		if err := store.Write(ctx, up, c, func(storage.Extent) storage.Upload { return up }); err != nil {
			t.Fatal(err)
		}
	}
	few = testing.AllocsPerRun(50, writeOne)
	for range 3000 {
		writeOne()
	}
	before := fsys.read
	many = testing.AllocsPerRun(50, writeOne)
	if read := fsys.read - before; read > 0 {
		t.Errorf("51 writes read %d bytes of the journal", read)
	}
	return few, many
}

func TestF31JournalIsReadOnce(t *testing.T) {
	fsys := newMemFS("/srv")
	for _, step := range wholeLife()[:9] {
		store, err := openMem(fsys, nil)
		if err == nil {
			err = step.do(store)
		}
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		_, _ = store.Load(context.Background(), lifeID)
		before := fsys.read
		for range 3 {
			if _, err := store.Load(context.Background(), lifeID); err != nil {
				t.Errorf("load after %s: %v", step.name, err)
			}
		}
		if read := fsys.read - before; read > 0 {
			t.Errorf("after %s, the journal is read again: %d bytes", step.name, read)
		}
		_ = store.Close()
	}
}

// Evicted journals are read again.
func TestJournalCacheIsBounded(t *testing.T) {
	var c journalCache
	const each = maxCachedJournals / 10
	for _, id := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
		c.put(journal{record: storage.Record{ID: id}, length: each, mustRewrite: id == "b"})
	}
	_, _ = c.get("a")
	c.put(journal{record: storage.Record{ID: "k"}, length: 2 * each})
	for id, want := range map[string]bool{"a": true, "b": true, "c": false, "d": false, "e": true, "k": true} {
		if _, ok := c.get(id); ok != want {
			t.Errorf("%s is cached: %v, want %v", id, ok, want)
		}
	}
	if c.bytes != 10*each {
		t.Errorf("it counts %d bytes, want %d", c.bytes, 10*each)
	}
}
