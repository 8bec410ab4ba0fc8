package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// step is one operation on an upload. It must be repeatable.
type step struct {
	name string
	do   func(s storage.Store) error
}

const lifeID = "it"

var lifeKey = "k/d/it"

// wholeLife is the steps of an upload whose size is set when there are bytes beyond it, and
// of the next upload with its id.
func wholeLife() []step {
	data, next := storagetest.Content(1, 6500), storagetest.Content(2, 5000)
	return []step{
		create(storage.Record{ID: lifeID, Key: lifeKey, Size: storage.Unknown, ClientChosenID: true}, 1),
		write(data, ranges.Of(0, 3000)),
		write(data, ranges.Of(4500, 2000)),
		{"declare", func(s storage.Store) error { return s.SetSize(context.Background(), lifeID, 6000) }},
		write(data, ranges.Of(2000, 4000)),
		{"finish", finishIt},
		wantFile(data[:6000]),
		{"dead-letter", onUpload(storage.Store.DeadLetter)},
		{"mark delivered", onUpload(storage.Store.MarkDelivered)},
		wantFile(data[:6000]),
		{"delete", func(s storage.Store) error { return s.Delete(context.Background(), lifeID) }},
		{"clean", func(s storage.Store) error {
			return s.(storage.Cleaner).Clean(context.Background(), time.Now().Add(time.Hour))
		}},
		create(storage.Record{ID: lifeID, Key: lifeKey, Size: 5000, ClientChosenID: true}, 2),
		write(next, ranges.Of(0, 5000)),
		{"finish", finishIt},
		wantFile(next),
	}
}

func create(rec storage.Record, n int64) step {
	rec.Created = time.Unix(n, 0).UTC() // identifies this upload
	return step{"create", func(s storage.Store) error {
		err := s.Create(context.Background(), rec)
		if errors.Is(err, storage.ErrExists) {
			up, loadErr := s.Load(context.Background(), rec.ID)
			if loadErr != nil || !up.Created.Equal(rec.Created) {
				return fmt.Errorf("another upload exists: %v, %w", up.Record, loadErr)
			}
			return nil
		}
		return err
	}}
}

func write(data []byte, r ranges.Range) step {
	return step{fmt.Sprintf("write %v", r), func(s storage.Store) error {
		up, err := s.Load(context.Background(), lifeID)
		if err != nil {
			return err
		}
		c := storage.Chunk{Offset: r.Start, Length: r.Len(), Body: bytes.NewReader(data[r.Start:r.End])}
		return s.Write(context.Background(), up, c, func(storage.Extent) storage.Upload { return up })
	}}
}

func onUpload(do func(storage.Store, context.Context, storage.Upload) error) func(s storage.Store) error {
	return func(s storage.Store) error {
		up, err := s.Load(context.Background(), lifeID)
		if err != nil {
			return err
		}
		return do(s, context.Background(), up)
	}
}

var finishIt = onUpload(func(s storage.Store, ctx context.Context, up storage.Upload) error {
	_, err := s.Finish(ctx, up)
	return err
})

func wantFile(data []byte) step {
	return step{"read", onUpload(func(s storage.Store, ctx context.Context, up storage.Upload) error {
		file, err := s.Open(ctx, up, 0)
		if err != nil {
			return err
		}
		got, err := io.ReadAll(file)
		if err == nil && !bytes.Equal(got, data) {
			err = errors.New("the file has other bytes")
		}
		if err == nil && up.CRC32C != nil && *up.CRC32C != crc32c.Of(data) {
			err = errors.New("the checksum is that of other bytes")
		}
		return errors.Join(err, file.Close())
	})}
}

// lives returns sequences of steps, and the file systems that they start with.
func lives(t *testing.T) map[string]life {
	data := storagetest.Content(3, 3000)
	return map[string]life{
		"whole life": {newMemFS("/srv"), wholeLife()},
		"of a journal that is compacted": {longJournal(t, data), []step{
			write(data, ranges.Of(1500, 700)),
			write(data, ranges.Of(2200, 800)),
			{"finish", finishIt},
			wantFile(data),
		}},
	}
}

type life struct {
	fs    *memFS
	steps []step
}

// longJournal returns a file system with an upload whose first half was written byte by
// byte.
func longJournal(t *testing.T, data []byte) *memFS {
	fsys := newMemFS(memDir)
	s, err := openMem(fsys, nil)
	if err != nil {
		t.Fatal(err)
	}
	steps := []step{create(storage.Record{ID: lifeID, Size: int64(len(data))}, 1)}
	for i := range int64(1500) {
		steps = append(steps, write(data, ranges.Of(i, 1)))
	}
	for _, step := range steps {
		if err := step.do(s); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
	}
	fsys = fsys.clone()
	fsys.lose(nothingStays, nil)
	return fsys
}

var errOff = errors.New("the machine is off")

// After a power loss at any time the next process finds what was acknowledged, and can
// complete the rest.
func TestPowerLossAtAnyTimeLosesNothing(t *testing.T) {
	for name, life := range lives(t) {
		for _, links := range []error{nil, syscall.EPERM, syscall.EXDEV} {
			t.Run(fmt.Sprintf("%s, links: %v", name, links), func(t *testing.T) {
				t.Parallel()
				for at := 0; ; at++ {
					for kind := range losses {
						if !life.stopAt(t, links, at, kind) {
							return
						}
					}
					if t.Failed() {
						return
					}
				}
			})
		}
	}
}

// stopAt stops before the change of the file system with number at, and completes the steps
// in the next process. It returns false if there are fewer.
func (l life) stopAt(t *testing.T, links error, at int, kind loss) bool {
	opts := ledgerOptions{links: links, losses: []loss{nothingStays, someStays}}
	never := opts // check only after the stop
	never.from = func() bool { return false }
	fsys, n := l.fs.clone(), 0
	fsys.fault = func(string, string) verdict {
		if n++; n > at {
			return verdict{err: errOff}
		}
		return verdict{}
	}
	first, err := tryLedger(t, fsys, never, uint64(at))
	done := 0
	for err == nil && done < len(l.steps) {
		if err = l.steps[done].do(first); err == nil {
			done++
		}
	}
	if err == nil {
		return false
	}
	var second *ledger
	if first != nil {
		first.opts = opts
		second = first.next(kind)
	} else {
		left := fsys.clone()
		left.lose(kind, rand.New(rand.NewPCG(uint64(at), 0)))
		second = openLedger(t, left, opts, nil, uint64(at))
	}
	for ; done < len(l.steps); done++ {
		if t.Failed() {
			t.Fatalf("stopped at %d (%v), before %s", at, kind, l.steps[done].name)
		}
		if err := l.steps[done].do(second); err != nil {
			t.Fatalf("stopped at %d (%v), then %s: %v", at, kind, l.steps[done].name, err)
		}
	}
	return true
}
