package disk_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/disk"
)

// A client that gets a not-found error starts a new upload.
func TestF36ErrorsAreTransientWhileTheDataDirectoryIsMissing(t *testing.T) {
	for name, replace := range map[string]func(dir string) error{
		"away":                      func(string) error { return nil },
		"empty":                     func(dir string) error { return os.Mkdir(dir, 0o750) },
		"that of another store now": func(dir string) error { s, err := disk.Open(dir, disk.Options{}); return errors.Join(err, s.Close()) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.dir = filepath.Join(p.dir, "data")
			p.reopen()
			data := []byte("right")
			p.create(storage.Record{ID: "begun", Size: 5})
			p.write("begun", 0, data[:3])
			p.complete(storage.Record{ID: "done"}, data)
			p.must("finish", p.finish("done"))
			done := p.load("done")

			p.must("take the directory away", os.Rename(p.dir, p.dir+".away"))
			p.must("replace it", replace(p.dir))
			for what, err := range p.attempts(done) {
				if !storage.Transient(err) {
					t.Errorf("%s: %v, want a transient error", what, err)
				}
			}
			p.must("remove it", os.RemoveAll(p.dir))
			p.must("bring it back", os.Rename(p.dir+".away", p.dir))
			p.wantFile("done", data)
			p.write("begun", 3, data[3:])
			p.must("finish", p.finish("begun"))
			p.wantFile("begun", data)
			if _, err := p.store.Load(p.ctx, "none"); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("load an unknown id: %v, want ErrNotFound", err)
			}
		})
	}
}

// attempts returns the errors of all operations, on existing uploads and on a missing one.
func (p *place) attempts(done storage.Upload) map[string]error {
	results := map[string]error{}
	for _, id := range []string{"begun", "done", "none"} {
		up := storage.Upload{Record: storage.Record{ID: id, Size: 5}}
		_, results["load "+id] = p.store.Load(p.ctx, id)
		c := storage.Chunk{Offset: 3, Length: 2, Body: bytes.NewReader([]byte("ht"))}
		results["write "+id] = p.store.Write(p.ctx, up, c, func(storage.Extent) storage.Upload { return up })
		results["declare "+id] = p.store.SetSize(p.ctx, id, 5)
		_, results["finish "+id] = p.store.Finish(p.ctx, up)
		results["delete "+id] = p.store.Delete(p.ctx, id)
	}
	results["create"] = p.store.Create(p.ctx, storage.Record{ID: "new", Size: 5})
	_, results["open"] = p.store.Open(p.ctx, done, 0)
	results["mark delivered"] = p.store.MarkDelivered(p.ctx, done)
	results["dead-letter"] = p.store.DeadLetter(p.ctx, done)
	return results
}

// The lock of the directory is not in the directory, where it could be removed: a second
// process would use the uploads of the first.
func TestF36TheDirectoryStaysLockedWhenItsContentsAreRemoved(t *testing.T) {
	p := newPlace(t)
	for _, gone := range []string{filepath.Join(".holdfast", "lock"), ".holdfast"} {
		p.must("remove "+gone, os.RemoveAll(filepath.Join(p.dir, gone)))
		s, err := disk.Open(p.dir, disk.Options{})
		if err == nil {
			p.must("close", s.Close())
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			t.Errorf("without %s: %v, want that the directory is in use", gone, err)
		}
	}
	p.must("close", p.store.Close())
	s, err := disk.Open(p.dir, disk.Options{})
	p.must("open once it is closed", err)
	p.must("close", s.Close())
}
