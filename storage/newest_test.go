package storage_test

import (
	"errors"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

func TestTheNewestFinishedUploadIsFoundByThePrefixOfItsID(t *testing.T) {
	w := newWorld(t, storage.Options{})
	all := func(storage.Upload) bool { return true }
	if _, err := w.uploads.NewestFinished(w.ctx, "name-", all); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("before there is one: %v, want ErrNotFound", err)
	}
	data := storagetest.Content(1, fileSize)
	for _, id := range []string{"name-1", "name-2", "other-9"} {
		w.create(storage.Record{ID: id, Size: fileSize})
		w.resume(id, data)
	}
	w.create(storage.Record{ID: "name-3", Size: fileSize}) // not finished
	for want, matches := range map[string]func(storage.Upload) bool{
		"name-2": all,
		"name-1": func(up storage.Upload) bool { return up.ID == "name-1" },
	} {
		if up, err := w.uploads.NewestFinished(w.ctx, "name-", matches); err != nil || up.ID != want {
			t.Errorf("found %q, %v, want %s", up.ID, err, want)
		}
	}
}

func TestCreateChoosesAnIDWithThePrefix(t *testing.T) {
	w := newWorld(t, storage.Options{})
	up, err := w.uploads.Create(w.ctx, storage.Record{IDPrefix: "name-", Size: 3})
	if err != nil || up.ID[:5] != "name-" || len(up.ID) < 20 || up.ClientChosenID {
		t.Errorf("created %+v, %v", up.Record, err)
	}
}
