package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// rivals are pairs of uploads of which only one can have its file.
var rivals = []struct{ name, id, key, otherID, otherKey string }{
	{"one key", "first", "k/it", "second", "k/it"},
	{"the key of the second is the id of the first", "it", "", "second", "it"},
	{"the id of the second is the key of the first", "first", "it", "it", ""},
	{"a directory of the second is the first", "first", "k", "second", "k/it"},
	{"a directory above that is", "first", "k", "second", "k/it/too"},
}

// rivalry runs a test on pairs of complete uploads, the first one finished, with and without
// hard links.
func rivalry(t *testing.T, test func(p *place, first, second string, data, other []byte)) {
	for _, c := range rivals {
		for _, links := range []error{nil, syscall.EPERM, syscall.ENOTSUP} {
			for _, size := range []int64{1000, 0} {
				t.Run(fmt.Sprintf("%s, links: %v, %d bytes", c.name, links, size), func(t *testing.T) {
					p := newPlaceWithLinks(t, links)
					data, other := storagetest.Content(1, 1000), storagetest.Content(2, size)
					p.complete(storage.Record{ID: c.id, Key: c.key}, data)
					p.complete(storage.Record{ID: c.otherID, Key: c.otherKey}, other)
					p.must("finish the first", p.finish(c.id))
					test(p, c.id, c.otherID, data, other)
				})
			}
		}
	}
}

func TestFileThatIsThereIsNotTakenForAnothers(t *testing.T) {
	rivalry(t, func(p *place, first, second string, data, _ []byte) {
		if up := p.load(second); up.Finished || !up.Complete() {
			p.Errorf("the second: finished %v, complete %v", up.Finished, up.Complete())
		}
		p.wantFile(first, data)
	})
}

func TestFirstUploadToFinishKeepsTheNameForGood(t *testing.T) {
	rivalry(t, func(p *place, first, second string, data, _ []byte) {
		for range 2 {
			if err := p.finish(second); !errors.Is(err, storage.ErrKeyTaken) || storage.Transient(err) {
				p.Errorf("finish the second: %v, want ErrKeyTaken", err)
			}
			p.wantFile(first, data)
			p.reopen()
		}
	})
}

func TestOneOfConcurrentFinishesGetsTheName(t *testing.T) {
	for _, links := range []error{nil, syscall.EPERM} {
		p := newPlaceWithLinks(t, links)
		var ups [8]storage.Upload
		for i := range ups {
			p.complete(storage.Record{ID: fmt.Sprint(i), Key: "it"}, fmt.Append(nil, i))
			ups[i] = p.load(fmt.Sprint(i))
		}
		var errs [8]error
		var wg sync.WaitGroup
		for i, up := range ups {
			wg.Go(func() { _, errs[i] = p.store.Finish(p.ctx, up) })
		}
		wg.Wait()
		finished := 0
		for i, err := range errs {
			if err == nil {
				p.wantFile(fmt.Sprint(i), fmt.Append(nil, i))
				finished++
			} else if !errors.Is(err, storage.ErrKeyTaken) {
				t.Errorf("finish: %v, want ErrKeyTaken", err)
			}
		}
		if finished != 1 {
			t.Errorf("links: %v: %d uploads got the name", links, finished)
		}
	}
}

func TestFinishIsTransientWhileADirectoryHasTheName(t *testing.T) {
	for _, links := range []error{nil, syscall.EPERM} {
		p := newPlaceWithLinks(t, links)
		p.complete(storage.Record{ID: "first", Key: "k/it"}, []byte("right"))
		p.complete(storage.Record{ID: "second", Key: "k"}, []byte("right"))
		p.must("finish the first", p.finish("first"))
		if err := p.finish("second"); !storage.Transient(err) {
			t.Errorf("finish the second: %v, want a transient error", err)
		}
		p.wantFile("first", []byte("right"))
		p.delete("first")
		p.must("finish the second", p.finish("second"))
		p.wantFile("second", []byte("right"))
	}
}

func TestNameIsAvailableAfterDeletion(t *testing.T) {
	rivalry(t, func(p *place, first, second string, _, other []byte) {
		_ = p.finish(second)
		p.delete(first)
		p.must("finish the second", p.finish(second))
		p.wantFile(second, other)
	})
}

func TestDeleteLeavesTheFileOfAnotherUpload(t *testing.T) {
	rivalry(t, func(p *place, first, second string, data, _ []byte) {
		_ = p.finish(second)
		for range 2 {
			p.delete(second)
			p.wantFile(first, data)
		}
		p.clean()
		p.wantFile(first, data)
		p.delete(first)
		p.wantNothing(p.path("it"))
		p.wantNothing(p.path("k"))
	})
}

func TestDeleteOfAnUnfinishedUploadLeavesTheFileOfAnother(t *testing.T) {
	data := storagetest.Content(1, 1000)
	for _, size := range []int64{1000, storage.Unknown} {
		for _, lost := range []bool{false, true} {
			p := newPlace(t)
			p.create(storage.Record{ID: "it", Size: size})
			p.write("it", 0, data[:500])
			p.complete(storage.Record{ID: "other", Key: "it"}, data)
			p.must("finish", p.finish("other"))
			if lost {
				p.must("lose the data", os.Remove(p.live("it.data")))
			}
			p.delete("it")
			p.clean()
			p.wantFile("other", data)
		}
	}
}

// The interrupted deletion of the first upload had removed its file.
func TestCompletedDeletionLeavesTheFileOfAnother(t *testing.T) {
	rivalry(t, func(p *place, first, second string, _, other []byte) {
		p.must("remove the file", p.store.RemoveFile(p.load(first)))
		p.must("finish the second", p.finish(second))
		p.delete(first)
		p.clean()
		p.wantFile(second, other)
	})
}

// interrupted returns a place with an upload whose finish a crash has interrupted: the file
// has both names.
func interrupted(t *testing.T, received string, size int64) *place {
	p := newPlace(t)
	p.create(storage.Record{ID: "it", Size: storage.Unknown})
	p.write("it", 0, []byte(received))
	p.must("declare", p.store.SetSize(p.ctx, "it", size))
	p.must("link", os.Link(p.live("it.data"), p.path("it")))
	p.reopen()
	return p
}

func TestInterruptedFinishIsCompletedByLoad(t *testing.T) {
	p := interrupted(t, "right", 5)
	p.wantFile("it", []byte("right"))
	p.wantNothing(p.live("it.data"))
}

func TestInterruptedFinishCanBeRepeated(t *testing.T) {
	for _, received := range []string{"right", "right, and more than was declared later"} {
		p := interrupted(t, received, 5)
		p.must("finish", p.finish("it"))
		p.must("finish again", p.finish("it"))
		p.wantFile("it", []byte("right"))
		p.wantNothing(p.live("it.data"))
	}
}

func TestDeleteAfterAnInterruptedFinishRemovesBothNames(t *testing.T) {
	p := interrupted(t, "right", 5)
	p.delete("it")
	p.wantNothing(p.path("it"))
	p.wantNothing(p.live("it.data"))
}

func TestLateWriteDoesNotChangeAFileWithBothNames(t *testing.T) {
	p := interrupted(t, "right", 5)
	began := storage.Upload{Record: storage.Record{ID: "it", Size: storage.Unknown}}
	c := storage.Chunk{Offset: 5, Length: storage.Unknown, Body: bytes.NewReader([]byte(" too much"))}
	p.must("write", p.store.Write(p.ctx, began, c, func(storage.Extent) storage.Upload { return began }))
	p.wantFile("it", []byte("right"))
}

func TestKeyThatIsAParentOfAnotherIsRejected(t *testing.T) {
	for _, c := range append(rivals[:len(rivals):len(rivals)], struct{ name, id, key, otherID, otherKey string }{
		"the second is a directory of the first", "first", "k/it", "second", "k",
	}) {
		t.Run(c.name, func(t *testing.T) {
			p := newPlaceWithLinks(t, nil)
			first := storage.Record{ID: c.id, Key: c.key, Size: 3, ClientChosenID: true}
			second := storage.Record{ID: c.otherID, Key: c.otherKey, Size: 3, ClientChosenID: true}
			p.must("create the first", p.store.Create(p.ctx, first))
			for range 2 {
				if err := p.store.Create(p.ctx, second); !errors.Is(err, storage.ErrKeyTaken) {
					t.Errorf("create the second: %v, want ErrKeyTaken", err)
				}
				p.reopen()
			}
			beside := "j/it"
			if strings.Contains(c.key, "/") {
				beside = "k/other/it"
			}
			p.must("create one beside it", p.store.Create(p.ctx, storage.Record{ID: "third", Key: beside, Size: 3}))
			p.delete("third")
			p.delete(c.id)
			p.must("create the second then", p.store.Create(p.ctx, second))
		})
	}
}

// A deletion that a crash interrupted must not reserve a key.
func TestInterruptedDeletionReservesNoKey(t *testing.T) {
	p := newPlaceWithLinks(t, nil)
	p.must("create", p.store.Create(p.ctx, storage.Record{ID: "first", Key: "k/it", Size: 3}))
	p.must("mark it as gone", os.WriteFile(filepath.Join(p.dir, ".holdfast/gone/first"), nil, 0o600))
	p.reopen()
	p.must("create the next", p.store.Create(p.ctx, storage.Record{ID: "second", Key: "k/it", Size: 3}))
}
