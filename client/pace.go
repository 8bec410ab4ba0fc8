package client

import "time"

// Chunks that take less than fastChunk are doubled, and those that take more than slowChunk
// are halved: long enough that the round trip of a request hardly counts, short enough that
// a broken one is no loss.
const (
	fastChunk = time.Second
	slowChunk = 10 * time.Second
)

const (
	// minWindow is the shortest time over which throughput is measured.
	minWindow = 250 * time.Millisecond
	// growth is the ratio of throughput that more requests at once must gain to be kept.
	growth = 1.1
	// holdWindows is the number of windows after which more requests are tried again.
	holdWindows = 12
	// The bytes in flight, all of which may be lost at once, are at most this share of the
	// bytes that were stored before the first failure, or between failures.
	firstShare, riskShare = 4, 8
)

// pace decides how large chunks are and how many are sent at once. It is a pure function of
// the events that it is given: chunks that were stored or failed, and when.
//
// Both begin small. Requests at once double while that raises throughput; then they stay,
// and one increase is tried again now and then. A failure halves both. The bytes in flight
// never exceed a share of the bytes that get through between two failures, so that a line
// that breaks often costs little.
type pace struct {
	min, max    int64 // of chunk, in bytes
	maxParallel int

	chunk    int64
	parallel int

	previous int     // parallel before the last increase
	rate     float64 // bytes per second before the last increase
	held     int     // windows until the next increase

	begin  time.Time // of the window
	length int64     // of chunks when it began
	bytes  int64     // stored in the window
	chunks int       // stored in the window

	failedAt time.Time
	since    int64 // bytes stored since the last failure
	between  int64 // bytes stored between failures, a moving average; 0 without a failure
}

func newPace(minimum, maximum int64, maxParallel int) pace {
	p := pace{min: minimum, max: maximum, maxParallel: max(maxParallel, 1), chunk: min(2*minimum, maximum)}
	p.parallel = min(4, p.maxParallel)
	p.previous = p.parallel
	return p
}

// budget is the number of bytes that may be in flight. Before the first failure it is at
// least enough for several requests.
func (p *pace) budget() int64 {
	if p.failedAt.IsZero() {
		return max(p.since/firstShare, 32*p.min)
	}
	return max(max(p.between, p.since)/riskShare, p.min)
}

// size returns the length of the next chunk in bytes: min times a power of two. It leaves
// room for twice as many chunks, so that these can be tried.
func (p *pace) size() int64 {
	limit := min(p.chunk, p.budget()/int64(min(2*p.slots(), p.maxParallel)))
	size := p.min
	for size*2 <= limit {
		size *= 2
	}
	return size
}

// slots returns the number of requests that may be in flight.
func (p *pace) slots() int { return int(min(int64(p.parallel), max(p.budget()/p.min, 1))) }

// stored adds a chunk of n bytes that was sent from begun to now.
func (p *pace) stored(begun, now time.Time, n int64) {
	p.since += n
	if size := p.size(); n >= size {
		switch took := now.Sub(begun); {
		case took < fastChunk:
			p.chunk = min(size*2, p.max)
		case took > slowChunk:
			p.chunk = max(size/2, p.min)
		}
	}
	if p.begin.IsZero() {
		p.begin, p.length = begun, p.size()
	}
	p.bytes += n
	p.chunks++
	elapsed := now.Sub(p.begin)
	if p.chunks < p.slots() || elapsed < minWindow {
		return
	}
	p.measured(float64(p.bytes) / elapsed.Seconds())
	p.begin, p.bytes, p.chunks, p.length = now, 0, 0, p.size()
}

// measured changes the number of requests at once by the throughput of a window, in bytes
// per second.
func (p *pace) measured(rate float64) {
	switch {
	case p.slots() < p.parallel: // the budget decides for now
	case p.size() > p.length && p.held == 0 && p.previous == p.parallel:
		p.rate = rate // longer chunks may be the reason
	case p.held > 1:
		p.held--
		p.rate = (3*p.rate + rate) / 4
	case p.held == 1:
		p.held = 0
		p.rate = (3*p.rate + rate) / 4
		p.increase(p.parallel + max(1, p.parallel/2))
	case rate > p.rate*growth:
		p.rate = rate
		p.increase(2 * p.parallel)
	default:
		p.parallel, p.held = p.previous, holdWindows
	}
}

func (p *pace) increase(parallel int) {
	p.previous = p.parallel
	p.parallel = min(parallel, p.maxParallel)
}

// failed adds a chunk that was begun at that time and has failed now. Chunks that were in
// flight together fail together, which counts as one failure.
func (p *pace) failed(begun, now time.Time) {
	if begun.Before(p.failedAt) {
		return
	}
	chunk, parallel := max(p.size()/2, p.min), max(p.slots()/2, 1)
	if p.between == 0 {
		p.between = p.since
	} else {
		p.between = (p.between + p.since) / 2
	}
	p.failedAt, p.since = now, 0
	p.chunk, p.parallel, p.previous = chunk, parallel, parallel
	p.rate, p.held = 0, 0
	p.begin, p.bytes, p.chunks = time.Time{}, 0, 0
}

// tooLarge limits chunks to less than n bytes. It reports whether there is such a size.
func (p *pace) tooLarge(n int64) bool {
	if n <= p.min {
		return false
	}
	p.max = max(p.min, min(p.max, n/2))
	p.chunk = min(p.chunk, p.max)
	return true
}
