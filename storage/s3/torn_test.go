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
	"github.com/holdfast-upload/holdfast/storage/storagetest"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// life is how an upload comes and goes, while others look at it.
type life struct {
	name  string
	rec   storage.Record
	size  int64
	steps func(l *observed) []func()
}

// inChunks are the steps of sending all of an upload.
func inChunks(chunks ...ranges.Range) func(*observed) []func() {
	return func(l *observed) (steps []func()) {
		for _, r := range chunks {
			steps = append(steps, func() { l.send(r) })
		}
		return steps
	}
}

var lives = []life{
	{name: "in parts that are sent in pieces", rec: storage.Record{ID: "upload", Size: twoCells}, size: twoCells,
		steps: inChunks(storagetest.Chunks(twoCells, 1_400_003)...)},
	{name: "with a key, in any order", rec: storage.Record{ID: "upload", Key: "videos/it.mp4", Size: twoCells}, size: twoCells,
		steps: inChunks(shuffled(storagetest.Chunks(twoCells, 2_100_007))...)},
	{name: "in pieces that are merged", rec: storage.Record{ID: "upload", Size: minPart}, size: 4000,
		steps: inChunks(storagetest.Chunks(4000, 100)...)},
	{name: "of a size that is declared late", rec: storage.Record{ID: "upload", Size: storage.Unknown}, size: twoCells,
		steps: func(l *observed) []func() {
			return append(inChunks(storagetest.Chunks(twoCells, 3_000_001)...)(l), l.declare)
		}},
	{name: "deleted by its client", rec: storage.Record{ID: "upload", Size: threeCells}, size: twoCells,
		steps: func(l *observed) []func() {
			return append(inChunks(storagetest.Chunks(twoCells, 2_000_001)...)(l), l.delete)
		}},
}

// observed is an upload at each of whose moments another node lists it, which shows what
// was there some time ago and what is there now, mixed.
type observed struct {
	*phone
	history *bucketHistory
	other   *node
	s3      *tornS3
	created bool
	deleted bool
	ended   bool
	file    string // the key of its file
	looks   int
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

// live runs a life. Each request to S3 takes a second, and between two steps pause passes.
func live(t *testing.T, endpoint string, of life, pause time.Duration, look func(l *observed)) {
	opts := options(endpoint)
	clock := &fakeClock{at: time.Now()}
	l := &observed{}
	l.other, l.s3 = tornNode(t, opts)
	opts.now = clock.now
	n := startNode(t, opts)
	l.phone = &phone{t: t, node: n, data: storagetest.Content(1, of.size), id: of.rec.ID}
	l.history = &bucketHistory{store: startNode(t, opts).store, clock: clock, look: func() { look(l) }, state: l.state}
	l.file = n.store.fileKey(of.rec)
	n.wire.next = l.history
	n.received = func(up storage.Upload) {
		for _, r := range up.Received.Ranges() {
			l.ack(r)
		}
	}
	n.Uploads = n.core(new(storage.MemoryCache))
	l.create(of.rec)
	l.created = true
	for _, step := range of.steps(l) {
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
	look(l)
	t.Logf("%d moments, %d looks", len(l.history.moments), l.looks)
}

// everyPair calls look for the listings that are made of the present moment and one of the
// last so many, each once.
func (l *observed) everyPair(pairs []int, look func(what string, shown, now moment)) {
	moments := l.history.moments
	now, known := moments[len(moments)-1], map[string]bool{}
	for _, ago := range pairs {
		if ago >= len(moments) {
			break
		}
		for how, shown := range torn(moments[len(moments)-1-ago], now) {
			if known[shown.keys()] {
				continue
			}
			known[shown.keys()] = true
			l.looks++
			look(fmt.Sprintf("moment %d of %d, %s", len(moments)-ago, len(moments), how), shown, now)
		}
	}
}

func upTo(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// finished reports whether the file is there.
func (l *observed) finished(now moment) bool { return now.objects[l.file].Key != "" }

func TestF19NothingAcknowledgedIsMissingInAListingOfTwoMoments(t *testing.T) {
	useKeys(t)
	endpoint := servers.S3(t).URL("http")
	for _, of := range lives {
		t.Run(of.name, func(t *testing.T) {
			t.Parallel()
			live(t, endpoint, of, 0, func(l *observed) {
				l.everyPair(upTo(18), l.wantLoaded)
			})
		})
	}
}

func (l *observed) wantLoaded(what string, shown, now moment) {
	l.other.forgetAll()
	l.s3.show(1, shown, now)
	up, err := l.other.store.Load(l.t.Context(), l.id)
	switch {
	case storage.Transient(err), l.deleted, !shown.created:
	case err != nil:
		l.t.Errorf("%s: %v", what, err)
	default:
		for _, r := range shown.acked.Ranges() {
			if !up.Has(r) {
				l.t.Errorf("%s: %v was acknowledged, and is not in %v", what, r, up.Received)
			}
		}
	}
}

// harm are the changes that would take something from an upload.
func (l *observed) harm(now moment) (harm []string) {
	for _, change := range l.s3.refused {
		op, _, _ := strings.Cut(change, " /")
		taken := op == "put gone" || op == "abort" || op == "delete"
		if l.finished(now) {
			taken = op == "put gone" || op == "delete" && strings.Contains(change, "<Key>"+l.file+"</Key>")
		}
		if taken {
			harm = append(harm, change)
		}
	}
	return harm
}

// act is something that may remove what it does not find to be live.
type act struct {
	name string
	do   func(n *node) error
}

var acts = []act{
	{"sweep", func(n *node) error { return n.Sweep(context.Background()) }},
	{"clean", func(n *node) error { return n.store.Clean(context.Background(), n.now().Add(time.Hour)) }},
	{"create", func(n *node) error {
		return n.store.Create(context.Background(), storage.Record{ID: "upload", Size: 1, ClientChosenID: true, Created: n.now()})
	}},
}

func TestF19NothingLiveIsRemovedForAListingOfTwoMoments(t *testing.T) {
	useKeys(t)
	endpoint := servers.S3(t).URL("http")
	for _, a := range acts {
		for _, of := range lives {
			t.Run(a.name+"/"+of.name, func(t *testing.T) {
				t.Parallel()
				// Whatever is older than the step before is about to expire.
				live(t, endpoint, of, 50*time.Minute, func(l *observed) { l.wantUnharmed(a) })
			})
		}
	}
}

func (l *observed) wantUnharmed(a act) {
	pairs, listings := []int{1, 2, 4}, []int{1, 2, 3, 4}
	if _, acked := l.state(); acked.Contains(ranges.Of(0, int64(len(l.data)))) {
		pairs, listings = []int{1}, []int{2} // it is finished, which takes long where nothing can be written
	}
	l.everyPair(pairs, func(what string, shown, now moment) {
		for _, nth := range listings {
			l.other.forgetAll()
			l.s3.show(nth, shown, now)
			err := a.do(l.other)
			if harm := l.harm(now); !l.deleted && l.created && len(harm) > 0 {
				l.t.Errorf("%s, listing %d: %q", what, nth, harm)
			}
			if a.name == "create" && shown.created && !l.deleted && !errors.Is(err, storage.ErrExists) && !storage.Transient(err) {
				l.t.Errorf("%s, listing %d: create: %v", what, nth, err)
			}
		}
	})
}

func TestF19NothingIsLeftOfADeletionByAListingOfTwoMoments(t *testing.T) {
	useKeys(t)
	endpoint := servers.S3(t).URL("http")
	for _, whole := range lives {
		for steps := 1; steps <= 3; steps++ {
			for nth := range 4 {
				of := whole
				of.steps = func(l *observed) []func() { return whole.steps(l)[:min(steps, len(whole.steps(l)))] }
				t.Run(fmt.Sprintf("%s/after %d steps, listing %d", of.name, steps, nth), func(t *testing.T) {
					t.Parallel()
					live(t, endpoint, of, 0, func(l *observed) {
						if l.ended {
							l.wantDeleted(nth)
						}
					})
				})
			}
		}
	}
}

// wantDeleted has the other node delete the upload for one of the listings that there may
// be, and leftovers removed a day later.
func (l *observed) wantDeleted(which int) {
	l.everyPair(upTo(4), func(what string, shown, now moment) {
		if which--; which != -1 || !shown.created || l.finished(now) {
			return
		}
		l.other.forgetAll()
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
