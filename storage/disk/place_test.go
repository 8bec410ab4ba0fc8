package disk_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/disk"
)

// place is a directory with a store. Without hard links it is not synced, to save time.
type place struct {
	*testing.T
	ctx   context.Context
	dir   string
	links error // the error of hard links, nil if they work
	store *disk.Store
}

func newPlace(t *testing.T) *place { return newPlaceWithLinks(t, nil) }

func newPlaceWithLinks(t *testing.T, links error) *place {
	p := &place{T: t, ctx: context.Background(), dir: t.TempDir(), links: links}
	p.reopen()
	t.Cleanup(func() { _ = p.store.Close() })
	return p
}

// reopen simulates a crash and restart of the process.
func (p *place) reopen() {
	p.Helper()
	if p.store != nil {
		_ = p.store.Close()
	}
	var err error
	if p.store, err = disk.Open(p.dir, disk.Options{NoSync: p.links != nil}); err != nil {
		p.Fatalf("open: %v", err)
	}
	if p.links != nil {
		p.store.LinksFail(p.links)
	}
}

func (p *place) path(of string) string { return filepath.Join(p.dir, filepath.FromSlash(of)) }
func (p *place) live(of string) string { return p.path(".holdfast/live/" + of) }

// must ends the test on an error.
func (p *place) must(what string, err error) {
	p.Helper()
	if err != nil {
		p.Fatalf("%s: %v", what, err)
	}
}

func (p *place) create(rec storage.Record) {
	p.Helper()
	rec.Created = time.Now().UTC()
	p.must("create "+rec.ID, p.store.Create(p.ctx, rec))
}

func (p *place) write(id string, offset int64, data []byte) {
	p.Helper()
	c := storage.Chunk{Offset: offset, Length: int64(len(data)), Body: bytes.NewReader(data)}
	up := p.load(id)
	p.must("write "+id, p.store.Write(p.ctx, up, c, func(storage.Extent) storage.Upload { return up }))
}

// complete creates an upload with all its bytes, ready to finish.
func (p *place) complete(rec storage.Record, data []byte) {
	p.Helper()
	rec.Size = int64(len(data))
	p.store.ForgetReservations()
	p.create(rec)
	p.write(rec.ID, 0, data)
}

func (p *place) load(id string) storage.Upload {
	p.Helper()
	up, err := p.store.Load(p.ctx, id)
	p.must("load "+id, err)
	return up
}

func (p *place) finish(id string) error {
	p.Helper()
	_, err := p.store.Finish(p.ctx, p.load(id))
	return err
}

func (p *place) delete(id string) {
	p.Helper()
	p.must("delete "+id, p.store.Delete(p.ctx, id))
}

func (p *place) clean() {
	p.Helper()
	p.must("clean", p.store.Clean(p.ctx, time.Now().Add(time.Hour)))
}

func (p *place) wantFile(id string, data []byte) {
	p.Helper()
	up := p.load(id)
	if !up.Finished {
		p.Fatalf("%s is not finished", id)
	}
	file, err := p.store.Open(p.ctx, up, 0)
	p.must("open "+id, err)
	defer file.Close()
	if got, err := io.ReadAll(file); err != nil || !bytes.Equal(got, data) {
		p.Errorf("%s: read %q, %v; want %q", id, got, err, data)
	}
}

func (p *place) wantNothing(path string) {
	p.Helper()
	if _, err := os.Lstat(path); err == nil {
		p.Errorf("%s is still there", path)
	}
}
