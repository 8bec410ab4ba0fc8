package console

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

const (
	// listEvery is the least time between two listings, and listShare how many times the
	// duration of the last one there is between them.
	listEvery = 10 * time.Second
	listShare = 10
	// listTimeout is how long a listing may take.
	listTimeout = 2 * time.Minute
)

// Listing is what the store has, whichever process has received it.
type Listing struct {
	At         int64      `json:"at"`                // when the last listing began, 0 before the first
	Error      string     `json:"error,omitempty"`   // why the last listing is not complete
	Failing    int64      `json:"failing,omitempty"` // since when listings fail
	Waiting    []Row      `json:"waiting"`           // incomplete uploads, those with the latest bytes first
	Deliveries []Delivery `json:"deliveries"`        // dead-lettered ones first, then the oldest
	// The numbers are of all, of which the lists have maxRows at most.
	WaitingCount int `json:"waitingCount"`
	PendingCount int `json:"pendingCount"`
	DeadCount    int `json:"deadCount"`
	// Delivers reports whether events are delivered at all.
	Delivers bool `json:"delivers"`
}

// Delivery is one that is pending or dead-lettered.
type Delivery struct {
	Row
	DeadLettered bool `json:"deadLettered"`
}

// listing lists the store again and again while a page watches.
type listing struct {
	mu      sync.Mutex
	last    Listing
	next    time.Time
	running bool
}

func (l *listing) snapshot() Listing {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// listIfDue begins a listing in the background if one is due.
func (c *Console) listIfDue(ctx context.Context) {
	l := &c.listing
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running || time.Now().Before(l.next) {
		return
	}
	l.running = true
	go func() {
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), listTimeout)
		defer cancel()
		found := c.list(ctx)
		l.mu.Lock()
		defer l.mu.Unlock()
		if found.Error != "" {
			found.Failing = found.At
			if l.last.Failing != 0 {
				found.Failing = l.last.Failing
			}
		}
		l.running, l.last, l.next = false, found, time.Now().Add(max(listEvery, listShare*time.Since(began)))
	}()
}

// list lists the store once.
func (c *Console) list(ctx context.Context) Listing {
	core := c.opts.Uploads()
	found := Listing{At: millis(time.Now()), Waiting: []Row{}, Deliveries: []Delivery{}, Delivers: core.HasDeliverer()}
	for up, err := range core.Active(ctx) {
		switch {
		case err != nil:
			found.Error = shorten(err.Error())
		case !up.Finished:
			found.addWaiting(up, core.Expires(up))
		case up.DeliveryPending && !up.Partial:
			found.addDelivery(up)
		}
	}
	if ctx.Err() != nil {
		found.Error = "listing the store takes too long; this is a part of it"
	}
	return found
}

func (f *Listing) addWaiting(up storage.Upload, expires time.Time) {
	f.WaitingCount++
	at, _ := slices.BinarySearchFunc(f.Waiting, millis(up.ModifiedAt), func(r Row, last int64) int { return int(min(1, max(-1, last-r.Last))) })
	if at < maxRows {
		row := rowOf(up)
		row.Map, row.Expires = coverage(up.Received, up.Size), millis(expires)
		f.Waiting = slices.Insert(f.Waiting, at, row)
		f.Waiting = f.Waiting[:min(len(f.Waiting), maxRows)]
	}
}

func (f *Listing) addDelivery(up storage.Upload) {
	d := Delivery{rowOf(up), up.DeadLettered}
	if d.DeadLettered {
		f.DeadCount++
	} else {
		f.PendingCount++
	}
	at, _ := slices.BinarySearchFunc(f.Deliveries, d, func(a, b Delivery) int {
		switch {
		case a.DeadLettered == b.DeadLettered:
			return int(min(1, max(-1, a.Last-b.Last)))
		case a.DeadLettered:
			return -1
		}
		return 1
	})
	if at < maxRows {
		f.Deliveries = slices.Insert(f.Deliveries, at, d)
		f.Deliveries = f.Deliveries[:min(len(f.Deliveries), maxRows)]
	}
}
