package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// scenario is the life of an upload, which is observed by another node.
type scenario struct {
	name  string
	rec   storage.Record
	size  int64
	steps func(l *observed) []func()
}

// inChunks returns steps that send an upload in these chunks.
func inChunks(chunks ...ranges.Range) func(*observed) []func() {
	return func(l *observed) (steps []func()) {
		for _, r := range chunks {
			steps = append(steps, func() { l.send(r) })
		}
		return steps
	}
}

var scenarios = []scenario{
	{name: "in parts that are sent in several chunks", rec: storage.Record{ID: "upload", Size: twoCells}, size: twoCells,
		steps: inChunks(storagetest.Chunks(twoCells, 1_400_003)...)},
	{name: "with a key, in any order", rec: storage.Record{ID: "upload", Key: "videos/it.mp4", Size: twoCells}, size: twoCells,
		steps: inChunks(shuffled(storagetest.Chunks(twoCells, 2_100_007))...)},
	{name: "in fragments that are merged", rec: storage.Record{ID: "upload", Size: layout.MinPart}, size: 4000,
		steps: inChunks(storagetest.Chunks(4000, 100)...)},
	{name: "of a size that is set late", rec: storage.Record{ID: "upload", Size: storage.Unknown}, size: twoCells,
		steps: func(l *observed) []func() {
			return append(inChunks(storagetest.Chunks(twoCells, 3_000_001)...)(l), l.declare)
		}},
	{name: "deleted by its client", rec: storage.Record{ID: "upload", Size: threeCells}, size: twoCells,
		steps: func(l *observed) []func() {
			return append(inChunks(storagetest.Chunks(twoCells, 2_000_001)...)(l), l.delete)
		}},
}

// observed is an upload that another node lists before each change, by listings that mix an
// earlier state of the bucket with the current one.
type observed struct {
	*phone
	history *bucketHistory
	other   *node
	s3      *tornS3
	created bool
	deleted bool
	ended   bool
	file    string // the key of its file
	checks  int
}

func (l *observed) state() (created bool, acked ranges.Set) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.created, l.acked.Clone()
}

func (l *observed) delete() {
	l.deleted = true
	if err := l.node.Delete(l.t.Context(), l.id); err != nil {
		l.t.Errorf("delete: %v", err)
	}
}

// run runs a scenario. Each change in S3 takes a second, and pause passes between two steps. Before
// each change it calls check.
func (sc scenario) run(t *testing.T, endpoint string, pause time.Duration, check func(l *observed)) {
	opts := options(endpoint)
	clock := &fakeClock{at: time.Now()}
	l := &observed{}
	l.other, l.s3 = tornNode(t, opts)
	opts.now = clock.now
	n := startNode(t, opts)
	l.phone = &phone{t: t, node: n, data: storagetest.Content(1, sc.size), id: sc.rec.ID}
	l.history = &bucketHistory{store: startNode(t, opts).store, clock: clock, check: func() { check(l) }, state: l.state}
	l.file = n.store.fileKey(sc.rec)
	n.wire.next = l.history
	n.received = func(up storage.Upload) {
		for _, r := range up.Received.Ranges() {
			l.ack(r)
		}
	}
	n.Uploads = n.core(new(storage.MemoryCache))
	l.create(sc.rec)
	l.created = true
	for _, step := range sc.steps(l) {
		clock.advance(pause)
		if err := n.store.needless.removeDue(t.Context()); err != nil {
			t.Error(err)
		}
		step()
	}
	if err := l.history.add(t.Context()); err != nil {
		t.Error(err)
	}
	l.ended = true
	check(l)
	t.Logf("%d moments, %d checks", len(l.history.moments), l.checks)
}

// everyPair calls check once for each different listing that mixes the current moment with an
// earlier one. ages says how many moments earlier.
func (l *observed) everyPair(ages []int, check func(what string, shown, now moment)) {
	moments := l.history.moments
	now, known := moments[len(moments)-1], map[string]bool{}
	for _, age := range ages {
		if age >= len(moments) {
			break
		}
		for how, shown := range tornListings(moments[len(moments)-1-age], now) {
			if known[shown.keys()] {
				continue
			}
			known[shown.keys()] = true
			l.checks++
			check(fmt.Sprintf("moment %d of %d, %s", len(moments)-age, len(moments), how), shown, now)
		}
	}
}

func upTo(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// finished reports whether the file exists.
func (l *observed) finished(now moment) bool { return now.objects[l.file].Key != "" }

func TestF19ATornListingShowsAllAcknowledgedBytes(t *testing.T) {
	useKeys(t)
	endpoint := servers.S3(t).URL("http")
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			sc.run(t, endpoint, 0, func(l *observed) {
				l.everyPair(upTo(18), l.wantLoaded)
			})
		})
	}
}

func (l *observed) wantLoaded(what string, shown, now moment) {
	l.other.clearCaches()
	l.s3.show(1, shown, now)
	up, err := l.other.store.Load(l.t.Context(), l.id)
	switch {
	case storage.Transient(err), l.deleted, !shown.created:
	case err != nil:
		l.t.Errorf("%s: %v", what, err)
	default:
		for _, r := range shown.acked.Ranges() {
			if !up.Has(r) {
				l.t.Errorf("%s: %v was acknowledged, but is not in %v", what, r, up.Received)
			}
		}
	}
}

// harmful returns the rejected changes that would have removed something of the upload.
func (l *observed) harmful(now moment) (harmful []string) {
	for _, change := range l.s3.rejected {
		op, _, _ := strings.Cut(change, " /")
		taken := op == "put gone" || op == "abort" || op == "delete"
		if l.finished(now) {
			taken = op == "put gone" || op == "delete" && strings.Contains(change, "<Key>"+l.file+"</Key>")
		}
		if taken {
			harmful = append(harmful, change)
		}
	}
	return harmful
}

// cleanup is an operation that removes objects which it finds not to belong to a live upload.
type cleanup struct {
	name string
	do   func(n *node) error
}

var cleanups = []cleanup{
	{"sweep", func(n *node) error { return n.Sweep(context.Background()) }},
	{"clean", func(n *node) error { return n.store.Clean(context.Background(), n.now().Add(time.Hour)) }},
	{"create", func(n *node) error {
		return n.store.Create(context.Background(), storage.Record{ID: "upload", Size: 1, ClientChosenID: true, Created: n.now()})
	}},
}

func TestF19NothingLiveIsRemovedBecauseOfATornListing(t *testing.T) {
	useKeys(t)
	endpoint := servers.S3(t).URL("http")
	for _, op := range cleanups {
		for _, sc := range scenarios {
			t.Run(op.name+"/"+sc.name, func(t *testing.T) {
				t.Parallel()
				// Objects older than the previous step are about to expire.
				sc.run(t, endpoint, 50*time.Minute, func(l *observed) { l.wantUnharmed(op) })
			})
		}
	}
}

func (l *observed) wantUnharmed(op cleanup) {
	ages, listings := []int{1, 2, 4}, []int{1, 2, 3, 4}
	if _, acked := l.state(); acked.Contains(ranges.Of(0, int64(len(l.data)))) {
		ages, listings = []int{1}, []int{2} // finished uploads take long while writes are rejected
	}
	l.everyPair(ages, func(what string, shown, now moment) {
		for _, nth := range listings {
			l.other.clearCaches()
			l.s3.show(nth, shown, now)
			err := op.do(l.other)
			if harmful := l.harmful(now); !l.deleted && l.created && len(harmful) > 0 {
				l.t.Errorf("%s, listing %d: %q", what, nth, harmful)
			}
			if op.name == "create" && shown.created && !l.deleted && !errors.Is(err, storage.ErrExists) && !storage.Transient(err) {
				l.t.Errorf("%s, listing %d: create: %v", what, nth, err)
			}
		}
	})
}

func TestF19ADeletionByATornListingLeavesNothingBehind(t *testing.T) {
	useKeys(t)
	endpoint := servers.S3(t).URL("http")
	for _, full := range scenarios {
		for steps := 1; steps <= 3; steps++ {
			for nth := range 4 {
				sc := full
				sc.steps = func(l *observed) []func() { return full.steps(l)[:min(steps, len(full.steps(l)))] }
				t.Run(fmt.Sprintf("%s/after %d steps, listing %d", sc.name, steps, nth), func(t *testing.T) {
					t.Parallel()
					sc.run(t, endpoint, 0, func(l *observed) {
						if l.ended {
							l.wantDeleted(nth)
						}
					})
				})
			}
		}
	}
}

// wantDeleted lets the other node delete the upload by one of the possible listings, and checks
// that Clean leaves nothing behind later.
func (l *observed) wantDeleted(which int) {
	l.everyPair(upTo(4), func(what string, shown, now moment) {
		if which--; which != -1 || !shown.created || l.finished(now) {
			return
		}
		l.other.clearCaches()
		l.s3.writable = true
		l.s3.show(1, shown, now)
		if err := l.other.store.Delete(l.t.Context(), l.id); err != nil {
			l.t.Fatalf("%s: %v", what, err)
		}
		if _, err := l.history.store.Load(l.t.Context(), l.id); !errors.Is(err, storage.ErrGone) {
			l.t.Errorf("%s: load: %v, want ErrGone", what, err)
		}
		if err := l.history.store.Clean(l.t.Context(), time.Now().Add(time.Hour)); err != nil {
			l.t.Errorf("%s: clean: %v", what, err)
		}
		wantOnly(l.t, l.history.store)
	})
}
