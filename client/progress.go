package client

import (
	"sync"
	"sync/atomic"
	"time"
)

// Progress is the progress of one upload. All numbers of bytes are of the file, without the
// overhead of HTTP.
type Progress struct {
	Size     int64 // of the file, -1 while it is unknown
	Stored   int64 // acknowledged by the server
	InFlight int64 // sent, and not yet acknowledged
	Resumed  int64 // part of Stored that the server had before
	Sent     int64 // all that was sent, repeated bytes included

	Chunk    int64 // length of the next chunk
	Parallel int   // requests that send chunks now, of all uploads of the Client

	Err     error         // the last failure, nil after something was stored since
	RetryIn time.Duration // after Err
}

// meter counts the progress of one upload, and reports it.
type meter struct {
	report func(Progress)
	ended  chan struct{}
	ticker sync.WaitGroup

	mu       sync.Mutex
	line     *line
	now      Progress
	inFlight map[*atomic.Int64]struct{}
}

const reportInterval = 100 * time.Millisecond

func newMeter(l *line, size int64, report func(Progress)) *meter {
	m := &meter{line: l, report: report, ended: make(chan struct{}), inFlight: map[*atomic.Int64]struct{}{}}
	m.now.Size = size
	if report != nil {
		m.ticker.Go(m.tick)
	}
	return m
}

func (m *meter) tick() {
	t := time.NewTicker(reportInterval)
	defer t.Stop()
	for {
		select {
		case <-m.ended:
			return
		case <-t.C:
			m.report(m.read())
		}
	}
}

// read returns the current progress.
func (m *meter) read() Progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	chunk, parallel := m.line.now()
	p := m.now
	p.Chunk, p.Parallel = chunk, parallel
	for sent := range m.inFlight {
		p.InFlight += sent.Load()
	}
	p.Sent += p.InFlight
	return p
}

// use says which line the chunks are sent on.
func (m *meter) use(l *line) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.line = l
}

// begin says how many bytes the server had before.
func (m *meter) begin(resumed int64) {
	m.set(func(p *Progress) { p.Stored, p.Resumed = resumed, resumed })
}

// stored says how many bytes of the file the server has.
func (m *meter) stored(n int64) { m.set(func(p *Progress) { p.Stored, p.Err, p.RetryIn = n, nil, 0 }) }

func (m *meter) size(n int64) { m.set(func(p *Progress) { p.Size = n }) }

func (m *meter) failed(err error, wait time.Duration) {
	m.set(func(p *Progress) { p.Err, p.RetryIn = err, wait })
}

func (m *meter) set(f func(*Progress)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.now)
}

// sending returns a counter for the body of a request. ended is called after it.
func (m *meter) sending() (sent *atomic.Int64, ended func()) {
	sent = new(atomic.Int64)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inFlight[sent] = struct{}{}
	return sent, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.inFlight, sent)
		m.now.Sent += sent.Load()
	}
}

// stop makes the last report, and returns the totals.
func (m *meter) stop() (sent, resumed int64) {
	close(m.ended)
	m.ticker.Wait()
	p := m.read()
	if m.report != nil {
		m.report(p)
	}
	return p.Sent, p.Resumed
}
