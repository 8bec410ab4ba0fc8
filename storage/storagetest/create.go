package storagetest

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func createCases() []storeCase {
	return []storeCase{
		{"a record is loaded as it was created", recordIsKept},
		{"an id that was never created is not found", unknownIsNotFound},
		{"an id is created once", idIsCreatedOnce},
		{"of creations at once one succeeds", oneCreationSucceeds},
		{"no two live uploads have one file", keyIsTaken},
		{"of creations with one key at once not two succeed", keyIsTakenOnce},
		{"the key of one may be the id of another only after it", keyIsAnothersID},
		{"the key of a deleted upload is free, and nothing harms the next one", keyIsFreeAgain},
		{"ids that look alike stay apart", alikeIDsStayApart},
		{"a snapshot shares nothing with the store", snapshotIsItsOwn},
		{"touched is when something was last stored", touchedIsTheLastStore},
		{"a size is declared once", sizeIsDeclaredOnce},
		{"of sizes declared at once one stays", oneDeclaredSizeStays},
		{"a size that is declared late may be 0", declaredSizeIsZero},
		{"a healthy store passes its check", checkPasses},
		{"ids are found by their prefix", idsAreFoundByPrefix},
	}
}

func recordIsKept(f *fixture) {
	at := time.Date(2026, 3, 1, 12, 30, 15, 123456789, time.UTC)
	for _, rec := range []storage.Record{
		{ID: storage.NewID(), Size: 0, Created: at},
		{ID: storage.NewID(), Size: 1 << 40, Created: at, ClientChosenID: true},
		{ID: storage.NewID(), Size: storage.Unknown, Created: at, Partial: true},
		{ID: storage.NewID(), Size: 7, Created: at, Parts: []string{"one", "two", "one"}},
		{ID: strings.Repeat("i", storage.MaxIDLength), Size: 7, Created: at},
		{ID: storage.NewID(), Size: 7, Created: at, Metadata: map[string]string{
			"latin1": "sp\xe4t", "not UTF-8 \xff": "\xfe\x00", "filename": "späť \"1\"\n/../é\x00.mp4", "empty": "", "": "no name", "long": strings.Repeat("x", 4000)}},
	} {
		up := f.createAs(rec)
		if up.ID != rec.ID || up.Size != rec.Size || up.Partial != rec.Partial || up.ClientChosenID != rec.ClientChosenID || !up.Created.Equal(rec.Created) ||
			!maps.Equal(up.Metadata, rec.Metadata) || !slices.Equal(up.Parts, rec.Parts) {
			f.Errorf("created %+v, loaded %+v", rec, up.Record)
		}
		if !up.Received.Empty() || up.Finished {
			f.Errorf("a new upload has received %v, finished %v", up.Received, up.Finished)
		}
	}
}

func unknownIsNotFound(f *fixture) {
	none := storage.Upload{Record: storage.Record{ID: storage.NewID(), Size: 3}}
	check := func(after string) {
		f.Helper()
		if _, err := f.store.Load(f.ctx, none.ID); !errors.Is(err, storage.ErrNotFound) {
			f.Errorf("load %s: %v, want ErrNotFound", after, err)
		}
	}
	check("at first")
	if _, err := f.store.Finish(f.ctx, none); err == nil {
		f.Error("no upload was finished")
	}
	check("after finish")
	if file, err := f.store.Open(f.ctx, none, 0); err == nil {
		_ = file.Close()
		f.Error("the file of no upload was opened")
	}
	f.step()
	check("after a step")
}

func idIsCreatedOnce(f *fixture) {
	data := Content(1, f.size)
	up := f.createAs(storage.Record{ID: storage.NewID(), Size: f.size, ClientChosenID: true,
		Metadata: map[string]string{"is": "first"}})
	again := func(state string) {
		f.Helper()
		err := f.store.Create(f.ctx, storage.Record{ID: up.ID, Size: 5, ClientChosenID: true, Created: time.Now().UTC()})
		if !errors.Is(err, storage.ErrExists) {
			f.Errorf("create a second time, %s: %v, want ErrExists", state, err)
		}
		f.step()
		if now := f.load(up.ID); now.Size != f.size || now.Metadata["is"] != "first" {
			f.Errorf("the second creation, %s, changed the first to %+v", state, now.Record)
		}
	}
	again("empty")
	f.put(up, data, ranges.Of(0, f.size/2))
	again("half full")
	f.put(up, data, ranges.Range{Start: f.size / 2, End: f.size})
	again("full")
	f.finish(up.ID, data)
	again("finished")
	f.markDelivered(up.ID)
	again("delivered")
	f.wantFile(up.ID, data)
}

func oneCreationSucceeds(f *fixture) {
	for range 10 {
		id := storage.NewID()
		errs := together(8, func(i int) error {
			rec := storage.Record{ID: id, Size: int64(100 + i), ClientChosenID: true, Created: time.Now().UTC()}
			return f.store.Create(f.ctx, rec)
		})
		f.step()
		f.wantOneCreation(id, errs)
	}
}

// wantOneCreation checks that of several creations, the i-th with a size of
// 100+i, one has succeeded and the others have reported that it exists.
func (f *fixture) wantOneCreation(id string, errs []error) {
	f.Helper()
	var made []int64
	for i, err := range errs {
		switch {
		case err == nil:
			made = append(made, int64(100+i))
		case !errors.Is(err, storage.ErrExists):
			f.Errorf("creation %d: %v, want ErrExists", i, err)
		}
	}
	if size := f.load(id).Size; len(made) != 1 || size != made[0] {
		f.Errorf("the creations with the sizes %v succeeded, loaded %d", made, size)
	}
}

func alikeIDsStayApart(f *fixture) {
	ids := []string{"a", "A", "aa", "a-", "a.", "a~", "a_", "a.a", "a-1", "a.0", "a.0-99", "0", "1",
		"a.info", "a.json", "a.part", "a.lock", "a.tmp", "a.log", "a.journal", "a.ranges", "a.data", "a.bin",
		"a.deadletter", "a.log.new", "a.file", "a.size", "a.record", "a.gone", "a.deleted", "a.finished", "a.layout", "a.meta", "record", "file"}
	content := func(i int) []byte { return Content(uint64(i), 1000) }
	for i, id := range ids {
		up := f.createAs(storage.Record{ID: id, Size: 1000, ClientChosenID: true})
		f.put(up, content(i), ranges.Of(0, 1000))
		if i%3 != 0 {
			f.finish(id, content(i))
		}
	}
	f.delete("a")
	f.wantGone(storage.Upload{Record: storage.Record{ID: "a", Size: 1000, ClientChosenID: true}})
	for i, id := range ids[1:] {
		f.finish(id, content(i+1))
	}
}

func snapshotIsItsOwn(f *fixture) {
	rec := storage.Record{ID: storage.NewID(), Size: 10, Metadata: map[string]string{"a": "b"}, Parts: []string{"p"}}
	f.createAs(rec)
	rec.Metadata["a"] = "changed by the creator"
	rec.Parts[0] = "changed"
	up := f.load(rec.ID)
	f.put(up, Content(1, 10), ranges.Of(2, 3))
	up = f.load(rec.ID)
	up.Metadata["a"] = "changed by the reader"
	up.Parts[0] = "changed"
	up.Received.Add(ranges.Of(0, 10))
	if now := f.load(rec.ID); now.Metadata["a"] != "b" || now.Parts[0] != "p" || now.Received.String() != "2-4" {
		f.Errorf("a changed snapshot changed the store: %+v, received %v", now.Record, now.Received)
	}
}

// The clock of a store may be another machine's, and count whole seconds.
func touchedIsTheLastStore(f *fixture) {
	const tolerance = 20 * time.Second
	created := time.Now().UTC().Add(-time.Hour)
	up := f.createAs(storage.Record{ID: storage.NewID(), Size: 20, Created: created})
	if now := f.load(up.ID); now.ModifiedAt.Before(created.Add(-tolerance)) || time.Until(now.ModifiedAt) > tolerance {
		f.Errorf("created at %v, touched at %v", created, now.ModifiedAt)
	}
	f.put(up, Content(1, 20), ranges.Of(10, 10))
	if now := f.load(up.ID); time.Since(now.ModifiedAt).Abs() > tolerance {
		f.Errorf("written to at %v, touched at %v", time.Now(), now.ModifiedAt)
	}
}

func sizeIsDeclaredOnce(f *fixture) {
	data := Content(1, f.size)
	up := f.create(storage.Unknown)
	f.put(up, data, ranges.Of(0, f.size/3))
	check := func(state string) {
		f.Helper()
		f.setSize(up.ID, f.size)
		if err := f.store.SetSize(f.ctx, up.ID, f.size+1); !errors.Is(err, storage.ErrSizeMismatch) {
			f.Errorf("set the size to another, %s: %v, want ErrSizeConflict", state, err)
		}
		f.step()
		f.setSize(up.ID, f.size)
	}
	check("a third full")
	f.put(up, data, ranges.Range{Start: f.size / 3, End: f.size})
	check("full")
	f.finish(up.ID, data)
	check("finished")
	f.markDelivered(up.ID)
	check("delivered")
	f.wantFile(up.ID, data)
}

func oneDeclaredSizeStays(f *fixture) {
	for range 5 {
		up := f.create(storage.Unknown)
		errs := together(6, func(i int) error { return f.store.SetSize(f.ctx, up.ID, int64(10+i/2)) })
		f.step()
		size := f.load(up.ID).Size
		for i, err := range errs {
			won := int64(10+i/2) == size
			if won && err != nil || !won && !errors.Is(err, storage.ErrSizeMismatch) {
				f.Errorf("set the size to %d: %v, while the size is %d", 10+i/2, err, size)
			}
		}
		f.finishAfter(up, size)
	}
}

func declaredSizeIsZero(f *fixture) {
	for _, bodies := range []int{0, 1, 2} {
		up := f.create(storage.Unknown)
		for range bodies {
			f.putFrom(f.store, up, ranges.Of(0, 0), strings.NewReader(""))
			f.step()
		}
		f.setSize(up.ID, 0)
		f.finish(up.ID, nil)
		f.markDelivered(up.ID)
		f.wantFile(up.ID, nil)
	}
}

// finishAfter fills an upload whose size was declared late, and finishes it.
func (f *fixture) finishAfter(up storage.Upload, size int64) {
	f.Helper()
	data := Content(2, size)
	f.putAll(up, data)
	f.finish(up.ID, data)
}

func checkPasses(f *fixture) {
	for range 2 {
		if c, ok := f.store.(storage.Checker); ok {
			if err := c.Check(f.ctx); err != nil {
				f.Errorf("check: %v", err)
			}
		}
		f.create(10)
	}
}
