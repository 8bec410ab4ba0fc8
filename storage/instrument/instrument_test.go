package instrument_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/instrument"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

func TestStoreConformance(t *testing.T) {
	m := instrument.New("test")
	storagetest.TestStore(t, func(*testing.T) storagetest.Harness {
		memory := storagetest.NewMemory(4096)
		return storagetest.Harness{
			Open: func() storage.Store { memory = memory.Restart(); return m.Store(memory) },
			Node: func() storage.Store { return m.Store(memory.Node()) },
			Move: func(up storage.Upload) { memory.MoveFile(up.ID) },
		}
	})
	storagetest.TestStore(t, func(*testing.T) storagetest.Harness {
		memory := storagetest.NewMemory(100_000)
		return storagetest.Harness{
			Open: func() storage.Store { memory = memory.Restart(); return m.Store(storagetest.Joiner{Memory: memory}) },
			Move: func(up storage.Upload) { memory.MoveFile(up.ID) },
		}
	})
}

func TestLockerConformance(t *testing.T) {
	locker := instrument.New("test").Locker(new(storage.MemoryLocker), nil)
	storagetest.TestLocker(t, func() storage.Locker { return locker })
}

func TestCacheConformance(t *testing.T) {
	cache := instrument.New("test").Cache(new(storage.MemoryCache))
	storagetest.TestCache(t, func() storage.Cache { return cache })
}

// bare is a store without optional interfaces.
type bare struct{ storage.Store }

// able is a store with all of them, which fail.
type able struct{ bare }

var errAble = errors.New("asked for")

// runKey is the key of a function that Run calls.
type runKey struct{}

func (able) Run(ctx context.Context) { ctx.Value(runKey{}).(context.CancelFunc)() }

func (able) Concat(context.Context, storage.Upload, []storage.Upload) (bool, error) {
	return true, errAble
}
func (able) DeleteCreated(context.Context, storage.Upload) error { return errAble }
func (able) CompleteDeletion(context.Context, string) (bool, error) {
	return true, errAble
}
func (able) Clean(context.Context, time.Time) error         { return errAble }
func (able) CleanFinished(context.Context, time.Time) error { return errAble }
func (able) Check(context.Context) error                    { return errAble }
func (able) Link(context.Context, storage.Upload) (string, error) {
	return "https://link", errAble
}

// Optional methods behave as if the wrapper lacked them when the inner store does.
func TestOptionalInterfacesFollowTheInnerStore(t *testing.T) {
	for _, can := range []bool{true, false} {
		m := instrument.New("test")
		s, wantErr, wantCalls := m.Store(bare{}), error(nil), 0.0
		if can {
			s, wantErr, wantCalls = m.Store(able{}), errAble, 1
		}
		ran, run := context.WithCancel(t.Context())
		s.(storage.Runner).Run(context.WithValue(t.Context(), runKey{}, run))
		if (ran.Err() != nil) != can {
			t.Errorf("able %v: Run has run: %v", can, ran.Err() != nil)
		}
		run()
		done, concatErr := s.(storage.Concater).Concat(t.Context(), storage.Upload{}, nil)
		link, linkErr := s.(storage.Linker).Link(t.Context(), storage.Upload{})
		if done != can || (link == "https://link") != can {
			t.Errorf("able %v: Concat %v, Link %q", can, done, link)
		}
		deleted, deleteErr := s.(storage.DeletionCompleter).CompleteDeletion(t.Context(), "id")
		if deleted != can {
			t.Errorf("able %v: CompleteDeletion %v", can, deleted)
		}
		for op, err := range map[string]error{
			"concat": concatErr, "link": linkErr, "delete": deleteErr,
			"clean": s.(storage.Cleaner).Clean(t.Context(), time.Now()), "clean_finished": s.(storage.Cleaner).CleanFinished(t.Context(), time.Now()),
			"check": s.(storage.Checker).Check(t.Context()),
		} {
			if !errors.Is(err, wantErr) {
				t.Errorf("able %v: %s: %v", can, op, err)
			}
			want(t, m, wantCalls, "holdfast_store_operations_total", op)
			want(t, m, wantCalls, "holdfast_store_errors_total", op)
		}
	}
}

// total sums the samples of a family with each of the given label values. Of histograms it
// counts observations.
func total(t *testing.T, m *instrument.Metrics, family string, values ...string) (sum float64) {
	t.Helper()
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != family {
			continue
		}
		for _, sample := range f.GetMetric() {
			labels := ""
			for _, l := range sample.GetLabel() {
				labels += " " + l.GetValue() + " "
			}
			wanted := true
			for _, v := range values {
				wanted = wanted && strings.Contains(labels, " "+v+" ")
			}
			if wanted {
				sum += sample.GetCounter().GetValue() + sample.GetGauge().GetValue() + float64(sample.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func want(t *testing.T, m *instrument.Metrics, n float64, family string, values ...string) {
	t.Helper()
	if got := total(t, m, family, values...); got != n {
		t.Errorf("%s %v is %v, want %v", family, values, got, n)
	}
}

func TestStoreErrorsExcludeExpectedResults(t *testing.T) {
	memory := storagetest.NewMemory(100)
	m := instrument.New("test")
	s := m.Store(memory)
	rec := storage.Record{ID: "it", Size: 10, ClientChosenID: true}
	for range 2 { // the second returns ErrExists
		_ = s.Create(t.Context(), rec)
	}
	_, _ = s.Load(t.Context(), "other")
	want(t, m, 2, "holdfast_store_operations_total", "create")
	want(t, m, 2, "holdfast_store_operation_duration_seconds", "create")
	want(t, m, 1, "holdfast_store_operations_total", "load")
	want(t, m, 0, "holdfast_store_errors_total")
	memory.Inject(func(storagetest.Op) storagetest.Outcome { return storagetest.Fails })
	if _, err := s.Load(t.Context(), "it"); err == nil {
		t.Fatal("the store did not fail")
	}
	want(t, m, 1, "holdfast_store_errors_total", "load")
}

func TestExtentsAreCountedByKind(t *testing.T) {
	m := instrument.New("test")
	memory := storagetest.NewMemory(100)
	s := m.Store(memory)
	if err := s.Create(t.Context(), storage.Record{ID: "it", Size: 1000}); err != nil {
		t.Fatal(err)
	}
	up, err := s.Load(t.Context(), "it")
	if err != nil {
		t.Fatal(err)
	}
	var extents, bytesStored float64
	err = s.Write(t.Context(), up, storage.Chunk{Length: 1000, Body: strings.NewReader(strings.Repeat("x", 1000))}, func(p storage.Extent) storage.Upload {
		extents, bytesStored = extents+1, bytesStored+float64(p.Len())
		up.Add(p)
		return up
	})
	if err != nil || extents == 0 || bytesStored != 1000 {
		t.Fatalf("%v: %v extents of %v bytes", err, extents, bytesStored)
	}
	want(t, m, extents, "holdfast_extents_stored_total", "range")
	want(t, m, bytesStored, "holdfast_stored_bytes_total", "range")
}

// rejecting is a store that rejects all uploads.
type rejecting struct {
	storage.Store
	err error
}

// Create implements storage.Store.
func (s rejecting) Create(context.Context, storage.Record) error { return s.err }

func TestRejectedUploadIsNotAStoreError(t *testing.T) {
	for _, err := range []error{storage.ErrExists, storage.ErrGone, storage.ErrKeyTaken, storage.ErrTooLarge} {
		m := instrument.New("test")
		if got := m.Store(rejecting{storagetest.NewMemory(100), err}).Create(t.Context(), storage.Record{ID: "it"}); got != err {
			t.Errorf("create: %v, want %v", got, err)
		}
		want(t, m, 0, "holdfast_store_errors_total")
	}
}

// timed is a locker that records how long its callers waited.
type timed struct {
	storage.MemoryLocker
	took time.Duration
}

// Lock implements storage.Locker.
func (l *timed) Lock(ctx context.Context, id string, onContended func()) (func(), error) {
	began := time.Now()
	defer func() { l.took += time.Since(began) }()
	return l.MemoryLocker.Lock(ctx, id, onContended)
}

func TestLockTimeoutsAreCounted(t *testing.T) {
	m := instrument.New("test")
	inner := new(timed)
	var waited time.Duration
	l := m.Locker(inner, func(_ context.Context, d time.Duration) { waited += d })
	unlock, err := l.Lock(t.Context(), "it", func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := l.Lock(ctx, "it", func() {}); !errors.Is(err, storage.ErrLocked) {
		t.Fatalf("the lock was acquired twice: %v", err)
	}
	want(t, m, 2, "holdfast_lock_wait_seconds")
	want(t, m, 1, "holdfast_lock_timeouts_total")
	if waited < inner.took {
		t.Errorf("waited %v, want %v at least", waited, inner.took)
	}
	// The sweep lock is not an upload's.
	sweeping, err := l.Lock(t.Context(), ".sweep", func() {})
	if err != nil {
		t.Fatal(err)
	}
	sweeping()
	want(t, m, 2, "holdfast_lock_wait_seconds")
}

func TestSweepsAndSweepErrorsAreCounted(t *testing.T) {
	m := instrument.New("test")
	memory := storagetest.NewMemory(100)
	swept := make(chan error, 1)
	u := storage.New(memory, new(storage.MemoryLocker), new(storage.MemoryCache), storage.Options{
		Log: slog.New(slog.DiscardHandler), Observer: storage.Observer{Sweep: func(took time.Duration, err error) { m.Sweep(took, err); swept <- err }},
	})
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() { defer close(ran); u.Run(ctx, time.Millisecond) }()
	if err := <-swept; err != nil {
		t.Fatal(err)
	}
	want(t, m, 0, "holdfast_sweep_errors_total")
	memory.Inject(func(storagetest.Op) storagetest.Outcome { return storagetest.Fails })
	for <-swept == nil {
	}
	stop()
	for done := false; !done; {
		select {
		case <-swept:
		case <-ran:
			done = true
		}
	}
	if total(t, m, "holdfast_sweep_errors_total") < 1 || total(t, m, "holdfast_sweep_duration_seconds") < 2 {
		t.Error("a sweep that failed was not counted")
	}
}

// Events of other nodes are counted there, so that the sum over all nodes is right.
func TestOnlyLocalEventsAreCounted(t *testing.T) {
	m := instrument.New("test")
	m.Upload(storage.Event{Type: storage.Finished, Local: true}, "tus")
	m.Upload(storage.Event{Type: storage.Finished}, "tus")
	m.Upload(storage.Event{Type: storage.Expired, Local: true}, "")
	want(t, m, 1, "holdfast_uploads_finished_total")
	want(t, m, 1, "holdfast_uploads_expired_total", "none")
}

func TestCacheLookupsAreHitsOrMisses(t *testing.T) {
	m := instrument.New("test")
	x := m.Cache(new(storage.MemoryCache))
	begun, err := x.Generation(t.Context(), "it")
	if err == nil {
		_, err = x.Store(t.Context(), begun, storage.Upload{Record: storage.Record{ID: "it", Size: 1}})
	}
	if err != nil {
		t.Fatal(err)
	}
	_, _ = x.Get(t.Context(), "it")
	_, _ = x.Get(t.Context(), "other")
	want(t, m, 1, "holdfast_cache_lookups_total", "hit")
	want(t, m, 1, "holdfast_cache_lookups_total", "miss")
}

// brokenCache fails as the cache of a node does while it is cut off from Redis.
type brokenCache struct{ storage.MemoryCache }

var errBroken = errors.New("broken")

func (*brokenCache) Get(context.Context, string) (storage.Upload, error) {
	return storage.Upload{}, errBroken
}
func (*brokenCache) Generation(context.Context, string) (string, error) { return "", errBroken }
func (*brokenCache) Store(context.Context, string, storage.Upload) (storage.Upload, error) {
	return storage.Upload{}, errBroken
}
func (*brokenCache) Append(context.Context, string, storage.Extent) (storage.Upload, error) {
	return storage.Upload{}, errBroken
}
func (*brokenCache) Invalidate(context.Context, string) error { return errBroken }

func TestErrorsOfTheCacheAreCounted(t *testing.T) {
	m := instrument.New("test")
	x := m.Cache(new(brokenCache))
	_, get := x.Get(t.Context(), "it")
	_, generation := x.Generation(t.Context(), "it")
	_, store := x.Store(t.Context(), "", storage.Upload{})
	_, appended := x.Append(t.Context(), "it", storage.Extent{})
	for _, err := range []error{get, generation, store, appended, x.Invalidate(t.Context(), "it")} {
		if !errors.Is(err, errBroken) {
			t.Errorf("error %v is not that of the cache", err)
		}
	}
	want(t, m, 1, "holdfast_cache_lookups_total", "error")
	for _, operation := range []string{"get", "generation", "store", "append", "invalidate"} {
		want(t, m, 1, "holdfast_cache_errors_total", operation)
	}
	working := m.Cache(new(storage.MemoryCache))
	_, _ = working.Get(t.Context(), "other") // not cached
	begun, _ := working.Generation(t.Context(), "other")
	_ = working.Invalidate(t.Context(), "other")
	_, _ = working.Store(t.Context(), begun, storage.Upload{Record: storage.Record{ID: "other"}}) // not any more
	for _, operation := range []string{"get", "store"} {
		want(t, m, 1, "holdfast_cache_errors_total", operation)
	}
}
