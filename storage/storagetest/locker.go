package storagetest

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// TestLocker checks that a locker keeps every promise of storage.Locker. Each
// call of node returns another node's view of the same locks; for a locker of
// one process that is always the same one.
func TestLocker(t *testing.T, node func() storage.Locker) {
	for _, c := range []struct {
		name string
		run  func(*lockerFixture)
	}{
		{"a lock is held by one at a time", lockIsExclusive},
		{"locks of different uploads are independent", locksAreIndependent},
		{"a holder is asked to release the lock while another waits", holderIsAsked},
		{"a holder is not asked while none waits", holderIsNotAsked},
		{"F24: who takes the lock over is not asked for the one before", successorIsNotAsked},
		{"a hundred waiters all get the lock", allWaitersGetIt},
		{"a waiter that has become the holder is asked for those who still wait", nextHolderIsAsked},
		{"a waiter whose context ends gets ErrLocked", waiterGivesUp},
		{"waiters that gave up leave nothing behind", waitersLeaveNothing},
		{"a lock may be released twice", releasedTwice},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			c.run(&lockerFixture{T: t, ctx: ctx, node: node, locker: node(), id: storage.NewID()})
		})
	}
}

type lockerFixture struct {
	*testing.T
	ctx    context.Context
	node   func() storage.Locker
	locker storage.Locker
	id     string
}

// lock takes the lock, and returns a channel that is closed when the holder is
// asked to release it.
func (f *lockerFixture) lock(l storage.Locker) (unlock func(), asked chan struct{}) {
	asked = make(chan struct{})
	var once sync.Once
	unlock, err := l.Lock(f.ctx, f.id, func() { once.Do(func() { close(asked) }) })
	if err != nil {
		f.Errorf("lock: %v", err)
		unlock = func() {}
	}
	return unlock, asked
}

// wait waits for what must happen.
func (f *lockerFixture) wait(what string, happened <-chan struct{}) {
	f.Helper()
	select {
	case <-happened:
	case <-f.ctx.Done():
		f.Fatalf("in vain waited until %s", what)
	}
}

// wantHeld checks that it is not possible to have the lock of id now.
func (f *lockerFixture) wantHeld() {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.ctx, 30*time.Millisecond)
	defer cancel()
	unlock, err := f.node().Lock(ctx, f.id, func() {})
	if err == nil {
		unlock()
	}
	if !errors.Is(err, storage.ErrLocked) {
		f.Errorf("a lock that is held: %v, want ErrLocked", err)
	}
}

func lockIsExclusive(f *lockerFixture) {
	var holders atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		l := f.node()
		for range 5 {
			wg.Go(func() {
				unlock, _ := f.lock(l)
				if n := holders.Add(1); n != 1 {
					f.Errorf("%d holders at once", n)
				}
				runtime.Gosched()
				holders.Add(-1)
				unlock()
			})
		}
	}
	wg.Wait()
	unlock, _ := f.lock(f.locker)
	f.wantHeld()
	unlock()
}

func locksAreIndependent(f *lockerFixture) {
	unlock, asked := f.lock(f.locker)
	defer unlock()
	other := *f
	other.id = f.id + ".2"
	unlockOther, _ := other.lock(f.node())
	unlockOther()
	f.wantNotAsked(asked)
}

func holderIsAsked(f *lockerFixture) {
	unlock, asked := f.lock(f.locker)
	second := make(chan struct{})
	go func() {
		defer close(second)
		unlock, _ := f.lock(f.node())
		unlock()
	}()
	f.wait("the holder was asked", asked)
	select {
	case <-second:
		f.Error("the second got the lock before the first released it")
	default:
	}
	unlock()
	f.wait("the second had the lock", second)
}

func holderIsNotAsked(f *lockerFixture) {
	unlock, asked := f.lock(f.locker)
	f.wantNotAsked(asked)
	unlock()
}

// successorIsNotAsked has the lock change hands some hundred times: none waits for the
// one who gets it.
func successorIsNotAsked(f *lockerFixture) {
	const rounds = 100
	nodes := []storage.Locker{f.locker, f.locker, f.node()}
	var needless atomic.Int32
	for i := range rounds {
		unlock, asked := f.lock(nodes[i%3])
		next := make(chan func())
		go func() {
			unlock, err := nodes[(i+1)%3].Lock(f.ctx, f.id, func() { needless.Add(1) })
			if err != nil {
				f.Errorf("lock: %v", err)
				unlock = func() {}
			}
			next <- unlock
		}()
		f.wait("the holder was asked", asked)
		unlock()
		(<-next)()
	}
	f.wantNotAsked(nil)
	if n := needless.Load(); n > 0 {
		f.Errorf("in %d of %d takeovers the new holder was asked to release it, though none waited", n, rounds)
	}
}

// wantNotAsked checks that a holder is not asked to release it, at least for a while.
func (f *lockerFixture) wantNotAsked(asked <-chan struct{}) {
	f.Helper()
	select {
	case <-asked:
		f.Error("a holder was asked to release it, though none waited")
	case <-time.After(50 * time.Millisecond):
	}
}

// Every holder keeps the lock until it is asked, as a request does that has no
// end of its own. Only the last one has no other waiting.
func allWaitersGetIt(f *lockerFixture) {
	const n = 100
	nodes := []storage.Locker{f.node(), f.node()}
	unlock, asked := f.lock(f.locker)
	var left, holders, started atomic.Int32
	left.Store(n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			started.Add(1)
			unlock, asked := f.lock(nodes[i%2])
			defer unlock()
			if holders.Add(1) != 1 {
				f.Error("two holders at once")
			}
			defer holders.Add(-1)
			if left.Add(-1) > 0 {
				f.waitAsked(asked)
			}
		})
	}
	f.wait("the first was asked", asked)
	for started.Load() < n {
		runtime.Gosched()
	}
	queueUp()
	unlock()
	wg.Wait()
}

// queueUp gives those who have called Lock the time to wait in it, of which they
// cannot notify any node.
func queueUp() { time.Sleep(50 * time.Millisecond) }

// waitAsked is wait for a goroutine that is not the test's own.
func (f *lockerFixture) waitAsked(asked <-chan struct{}) {
	select {
	case <-asked:
	case <-f.ctx.Done():
		f.Error("a holder was not asked while others waited")
	}
}

func nextHolderIsAsked(f *lockerFixture) {
	unlock, asked := f.lock(f.locker)
	type held struct {
		unlock func()
		asked  chan struct{}
	}
	next := make(chan held, 2)
	for range 2 {
		go func() {
			unlock, asked := f.lock(f.node())
			next <- held{unlock, asked}
		}()
	}
	f.wait("the first was asked", asked)
	queueUp()
	unlock()
	second := <-next
	f.wait("the second was asked for the third", second.asked)
	second.unlock()
	third := <-next
	third.unlock()
}

func waiterGivesUp(f *lockerFixture) {
	unlock, asked := f.lock(f.locker)
	ctx, cancel := context.WithCancel(f.ctx)
	gaveUp := make(chan error, 1)
	go func() {
		_, err := f.node().Lock(ctx, f.id, func() {})
		gaveUp <- err
	}()
	f.wait("the holder was asked", asked)
	cancel()
	if err := <-gaveUp; !errors.Is(err, storage.ErrLocked) {
		f.Errorf("a waiter whose context ended: %v, want ErrLocked", err)
	}
	f.wantHeld()
	unlock()
	unlock, asked = f.lock(f.node())
	f.wantNotAsked(asked)
	unlock()
}

func waitersLeaveNothing(f *lockerFixture) {
	unlock, _ := f.lock(f.locker)
	defer unlock()
	waiter := f.node()
	giveUp := func() {
		ctx, cancel := context.WithTimeout(f.ctx, 10*time.Millisecond)
		defer cancel()
		if _, err := waiter.Lock(ctx, f.id, func() {}); !errors.Is(err, storage.ErrLocked) {
			f.Errorf("a lock that is held: %v, want ErrLocked", err)
		}
	}
	giveUp() // so that what a locker starts once is there
	before := runtime.NumGoroutine()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(giveUp)
	}
	wg.Wait()
	for runtime.NumGoroutine() > before {
		if f.ctx.Err() != nil {
			f.Fatalf("%d goroutines before, %d after 50 waiters gave up", before, runtime.NumGoroutine())
		}
		time.Sleep(time.Millisecond) // they end on their own, and notify no node
	}
}

func releasedTwice(f *lockerFixture) {
	first, _ := f.lock(f.locker)
	first()
	first()
	second, _ := f.lock(f.node())
	first()
	f.wantHeld()
	second()
	second()
	third, _ := f.lock(f.node())
	third()
}
