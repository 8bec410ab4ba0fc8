package storage_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

func TestLocalIndexKeepsThePromisesOfAnIndex(t *testing.T) {
	index := new(storage.LocalIndex)
	storagetest.TestIndex(t, func() storage.Index { return index })
}

func TestLocalIndexForgetsRatherThanGrow(t *testing.T) {
	const most = 100_000
	index := new(storage.LocalIndex)
	ids := make([]string, most+50)
	for i := range ids {
		ids[i] = storage.NewID()
		if _, err := index.Put(t.Context(), storage.Upload{Record: storage.Record{ID: ids[i]}}); err != nil {
			t.Fatalf("put: %v", err)
		}
	}
	known := 0
	for _, id := range ids {
		if _, err := index.Get(t.Context(), id); err == nil {
			known++
		}
	}
	if known != most {
		t.Errorf("%d of %d uploads are known, want %d", known, len(ids), most)
	}
}

func TestLocalIndexTakesADroppedUploadAgainAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		index := new(storage.LocalIndex)
		up := storage.Upload{Record: storage.Record{ID: "it"}}
		for range 3 {
			if err := index.Drop(t.Context(), "it"); err != nil {
				t.Errorf("drop: %v", err)
			}
			time.Sleep(10 * time.Second)
			if _, err := index.Put(t.Context(), up); err == nil {
				t.Error("put right after the drop: no error")
			}
			time.Sleep(time.Hour)
			if _, err := index.Put(t.Context(), up); err != nil {
				t.Errorf("put long after the drop: %v", err)
			}
		}
	})
}
