package disk

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

const memDir = "/srv/data"

// ledger is a store that records what it has acknowledged, and compares this with what a
// store finds after a power loss: after every acknowledgement, and every change and sync of
// the file system.
type ledger struct {
	*Store
	t    testing.TB
	fs   *memFS
	opts ledgerOptions

	mu        sync.Mutex
	acked     map[string]*account
	rnd       *rand.Rand
	count     int
	unchecked int  // changes since the last check
	wrong     bool // something was missing, so later checks say nothing more
}

type ledgerOptions struct {
	links  error  // the error of hard links, nil if they work; EXDEV if directories are mounts
	losses []loss // one of these is tried at each check
	sparse bool   // do not check after every change that is not a sync
	// from, if set, reports whether to start checking.
	from func() bool
}

func openLedger(t testing.TB, fsys *memFS, opts ledgerOptions, acked map[string]*account, seed uint64) *ledger {
	l, err := tryLedger(t, fsys, opts, seed)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	for id, a := range acked {
		l.acked[id] = a.clone()
	}
	fsys.changed = nil
	l.verify(fsys.clone(), l.Store, l.acked, "opened")
	fsys.changed = l.checkAfter
	return l
}

// tryLedger opens a store with a new ledger.
func tryLedger(t testing.TB, fsys *memFS, opts ledgerOptions, seed uint64) (*ledger, error) {
	l := &ledger{t: t, fs: fsys, opts: opts, acked: map[string]*account{}, rnd: rand.New(rand.NewPCG(seed, 1))}
	var err error
	if l.Store, err = openMem(fsys, opts.links); err != nil {
		return nil, err
	}
	fsys.changed = l.checkAfter
	return l, nil
}

func openMem(fsys *memFS, links error) (*Store, error) {
	var below fileSystem = fsys
	switch links {
	case nil:
	case syscall.EXDEV:
		below = mounts{fsys}
	default:
		fsys.ordered = true
		below = linkless{fsys, links}
	}
	store, err := open(below, memDir, Options{})
	if err == nil && links == nil {
		store.writebackSize = 1 // after each read of a body
	}
	return store, err
}

// of returns the account of an upload; the caller holds mu.
func (l *ledger) of(id string) *account {
	if l.acked[id] == nil {
		l.acked[id] = &account{}
	}
	return l.acked[id]
}

// update changes the account of an upload.
func (l *ledger) update(id string, change func(a *account)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l.of(id))
	l.of(id).checked = l.count
}

// accounts returns recently changed accounts, and some of the others. The caller holds mu.
func (l *ledger) accounts() map[string]*account {
	acked, others := map[string]*account{}, 0
	for id, a := range l.acked {
		if l.count-a.checked > 5 {
			if others++; others > 2 {
				continue
			}
		}
		acked[id] = a.clone()
	}
	return acked
}

// checkAfter calls check after a sync, and sometimes after other changes, which matter less.
func (l *ledger) checkAfter(op string) {
	l.mu.Lock()
	l.unchecked++
	skip := l.opts.sparse && !strings.HasPrefix(op, "sync") && l.rnd.IntN(4) > 0
	l.mu.Unlock()
	if !skip {
		l.check()
	}
}

// check simulates power losses on copies of the file system, and verifies what is left.
func (l *ledger) check() {
	l.mu.Lock()
	if l.wrong || l.opts.from != nil && !l.opts.from() {
		l.mu.Unlock()
		return
	}
	l.unchecked = 0
	acked, copied := l.accounts(), l.fs.clone()
	l.count++
	kind, seed := l.opts.losses[l.rnd.IntN(len(l.opts.losses))], l.rnd.Uint64()
	l.mu.Unlock()
	left := copied.clone()
	left.lose(kind, rand.New(rand.NewPCG(seed, 2)))
	store, err := openMem(left, l.opts.links)
	if err != nil {
		l.t.Errorf("open after a power loss: %v", err)
		return
	}
	l.verify(copied, store, acked, fmt.Sprintf("%v, seed %d", kind, seed))
}

// verify compares a store with what was acknowledged, and its bytes with those before.
func (l *ledger) verify(before *memFS, after *Store, acked map[string]*account, when string) {
	for id, a := range acked {
		if err := a.verify(before, after, id); err != nil {
			l.t.Errorf("%s: %s: %v", when, id, err)
			l.mu.Lock()
			l.wrong = true
			l.mu.Unlock()
		}
	}
}

func (l *ledger) Create(ctx context.Context, rec storage.Record) error {
	var was account
	l.update(rec.ID, func(a *account) { was = *a.clone(); a.creating = true })
	err := l.Store.Create(ctx, rec)
	l.update(rec.ID, func(a *account) {
		if *a = was; err == nil {
			*a = account{rec: rec}
		} else if storage.Transient(err) {
			a.unsure = true
		}
	})
	l.check()
	return err
}

// Load is an acknowledgement too.
func (l *ledger) Load(ctx context.Context, id string) (storage.Upload, error) {
	var before account
	l.update(id, func(a *account) { before = *a.clone() })
	up, err := l.Store.Load(ctx, id)
	news := false // not acknowledged before
	l.update(id, func(a *account) {
		if err == nil && a.unsure && !a.creating {
			*a = account{rec: up.Record}
		}
		if err != nil || a.rec.ID == "" || a.gone || a.deleting || a.creating || a.lost || !a.sameAs(before) {
			return // it may have been loaded before the delete
		}
		was := a.clone()
		a.received.AddSet(up.Received)
		if up.Size != storage.Unknown {
			a.rec.Size = up.Size
		}
		a.finished = a.finished || up.Finished
		a.delivered = a.delivered || up.Finished && !up.DeliveryPending
		a.deadLettered = a.deadLettered || up.DeadLettered
		news = !a.received.Equal(was.received) || a.finished != was.finished || a.delivered != was.delivered || a.deadLettered != was.deadLettered
	})
	l.mu.Lock()
	news = news || l.unchecked > 0
	l.mu.Unlock()
	if news {
		l.check()
	}
	return up, err
}

func (l *ledger) SetSize(ctx context.Context, id string, size int64) error {
	err := l.Store.SetSize(ctx, id, size)
	if err == nil {
		l.update(id, func(a *account) { a.rec.Size = size })
	}
	l.check()
	return err
}

func (l *ledger) Write(ctx context.Context, up storage.Upload, c storage.Chunk, stored func(storage.Extent) storage.Upload) error {
	return l.Store.Write(ctx, up, c, func(p storage.Extent) storage.Upload {
		l.update(up.ID, func(a *account) { a.received.Add(p.Range) })
		l.check()
		return stored(p)
	})
}

func (l *ledger) Finish(ctx context.Context, up storage.Upload) (storage.Upload, error) {
	done, err := l.Store.Finish(ctx, up)
	if err == nil {
		l.update(up.ID, func(a *account) { a.finished = true })
	}
	l.check()
	return done, err
}

func (l *ledger) MarkDelivered(ctx context.Context, up storage.Upload) error {
	l.update(up.ID, func(a *account) { a.delivering = true })
	err := l.Store.MarkDelivered(ctx, up)
	if err == nil && !up.Partial {
		l.update(up.ID, func(a *account) { a.delivered = true })
	}
	l.check()
	return err
}

func (l *ledger) DeadLetter(ctx context.Context, up storage.Upload) error {
	err := l.Store.DeadLetter(ctx, up)
	if err == nil {
		l.update(up.ID, func(a *account) { a.deadLettered = !a.delivered })
	}
	l.check()
	return err
}

func (l *ledger) Delete(ctx context.Context, id string) error {
	l.update(id, func(a *account) { a.deleting = true })
	err := l.Store.Delete(ctx, id)
	if err == nil {
		l.update(id, func(a *account) { a.gone = a.rec.ID != "" || a.gone })
	}
	l.check()
	return err
}

func (l *ledger) Clean(ctx context.Context, before time.Time) error {
	l.mu.Lock()
	for _, a := range l.acked {
		a.cleaning = true
	}
	l.mu.Unlock()
	err := l.Store.Clean(ctx, before)
	l.check()
	return err
}

// next returns the ledger of the next process, after a power loss.
func (l *ledger) next(kind loss) *ledger {
	l.mu.Lock()
	left, acked, seed := l.fs.clone(), maps.Clone(l.acked), l.rnd.Uint64()
	for id, a := range acked {
		acked[id] = a.clone()
		acked[id].unsure = a.unsure || a.creating
		acked[id].creating = false
	}
	l.mu.Unlock()
	left.lose(kind, rand.New(rand.NewPCG(seed, 3)))
	return openLedger(l.t, left, l.opts, acked, seed)
}

// loseFile removes or truncates the file of an upload durably.
func (l *ledger) loseFile(id string, cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.of(id)
	a.lost = true
	l.fs.changed = nil
	if err := l.fs.SyncDir(l.own("live")); err != nil {
		l.t.Errorf("sync: %v", err)
	}
	l.fs.changed = l.checkAfter
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	dir, name, n, err := l.fs.find(l.filePath(a.rec))
	switch {
	case err != nil || n == nil:
		l.t.Errorf("lose the file of %s: %v", id, err)
	case cut:
		n.now.truncate(10)
		n.synced = n.now.clone()
	default:
		delete(dir.names, name)
		delete(dir.syncedNames, name)
	}
}
