package storage

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/semaphore"
)

const (
	// maxPending is the maximum number of deliveries queued in a process. Others are left
	// to the sweep, which finds them again.
	maxPending = 1 << 16
	// maxOriginBytes limits the memory that queued deliveries use for uploads and for
	// the requests that finished them.
	maxOriginBytes = 16 << 20
)

// pendingDelivery is a finished upload whose event has to be delivered.
type pendingDelivery struct {
	event, upload string // ids
	occurredAt    time.Time
	at            time.Time // the next attempt
	local         *Upload   // the upload, if it was finished by this process and not yet tried
	origin        any
	size          int64      // bytes of maxOriginBytes that it takes
	span          trace.Span // of the request that finished it, nil if unknown

	deleted        *Upload // if it was deleted by this process meanwhile; guarded by the queue
	deletionOrigin any     // of the request that deleted it; guarded by the queue

	deletedElsewhere *Upload // the upload, if the store says that it was deleted

	attempted bool
	// acked and rejected are the app's response until it is recorded in the store.
	acked, rejected bool
}

// deliveryQueue holds pending deliveries, at most one per upload, in the order of their
// next attempts.
type deliveryQueue struct {
	memory *semaphore.Weighted

	mu      sync.Mutex
	waiting deliveryHeap
	all     map[string]*pendingDelivery // queued or being delivered, by upload id
	changed chan struct{}               // holds a token if there may be an earlier delivery
}

func newDeliveryQueue() *deliveryQueue {
	return &deliveryQueue{
		memory: semaphore.NewWeighted(maxOriginBytes), all: map[string]*pendingDelivery{}, changed: make(chan struct{}, 1),
	}
}

// keep stores the upload and the origin with the delivery, if memory allows: the first
// attempt need not load the upload, and the origin is not in the store.
func (q *deliveryQueue) keep(d *pendingDelivery, up Upload, origin any, size int) {
	n := int64(size) + up.MemorySize()
	if q.memory.TryAcquire(n) {
		d.local, d.origin, d.size = &up, origin, n
	}
}

// add returns false if there is no room.
func (q *deliveryQueue) add(d *pendingDelivery) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, queued := q.all[d.upload]
	if queued || len(q.all) >= maxPending {
		q.memory.Release(d.size)
		return queued
	}
	q.all[d.upload] = d
	q.push(d)
	return true
}

// push queues d for its next attempt. The caller holds the mutex.
func (q *deliveryQueue) push(d *pendingDelivery) {
	heap.Push(&q.waiting, d)
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

// take waits until a delivery is due, and returns nil if ctx is done first.
func (q *deliveryQueue) take(ctx context.Context) *pendingDelivery {
	for {
		d, wait := q.due(time.Now())
		if d != nil && ctx.Err() == nil {
			return d
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-q.changed:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// due removes the first delivery if its time has come, or returns how long to wait.
func (q *deliveryQueue) due(now time.Time) (*pendingDelivery, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return nil, time.Hour
	}
	if wait := q.waiting[0].at.Sub(now); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&q.waiting).(*pendingDelivery), 0
}

// retry queues the delivery for another attempt.
func (q *deliveryQueue) retry(d *pendingDelivery, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d.at = at
	q.push(d)
}

// done removes a delivery that was taken. If this process has deleted the upload
// meanwhile, it returns the upload and the origin of that request.
func (q *deliveryQueue) done(d *pendingDelivery) (deleted *Upload, origin any) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.all, d.upload)
	q.memory.Release(d.size)
	return d.deleted, d.deletionOrigin
}

// addDeleted records in the upload's delivery that the upload was deleted, adding d if
// there is none. It returns false if there is no room.
func (q *deliveryQueue) addDeleted(d *pendingDelivery, up Upload, origin any, size int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	queued, ok := q.all[d.upload]
	if !ok && len(q.all) >= maxPending || !q.memory.TryAcquire(int64(size)) {
		return false
	}
	if !ok {
		queued = d
		q.all[d.upload] = d
		q.push(d)
	}
	queued.size += int64(size)
	queued.deleted, queued.deletionOrigin = &up, origin
	return true
}

func (q *deliveryQueue) pending() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.all)
}

// deliveryHeap implements heap.Interface: the delivery with the earliest attempt is first.
type deliveryHeap []*pendingDelivery

func (h deliveryHeap) Len() int           { return len(h) }
func (h deliveryHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h deliveryHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *deliveryHeap) Push(x any)        { *h = append(*h, x.(*pendingDelivery)) }
func (h *deliveryHeap) Pop() any {
	last := len(*h) - 1
	d := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return d
}
