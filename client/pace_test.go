package client

import (
	"testing"
	"time"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// simulation is a line without a clock: it gives a pace the events that chunks would cause.
type simulation struct {
	pace pace
	now  time.Time
	each float64 // bytes per second that one request reaches at most
	all  float64 // bytes per second that all reach at most
	rtt  time.Duration
}

func newSimulation(each, all float64, rtt time.Duration) *simulation {
	return &simulation{newPace(128*kib, 16*mib, 16), time.Unix(1e9, 0), each, all, rtt}
}

// round sends one chunk in every slot.
func (s *simulation) round() (bytes int64) {
	n, size := s.pace.slots(), s.pace.size()
	rate := min(s.each, s.all/float64(n))
	took := s.rtt + time.Duration(float64(size)/rate*float64(time.Second))
	begun := s.now
	s.now = s.now.Add(took)
	for range n {
		s.pace.stored(begun, s.now, size)
	}
	return int64(n) * size
}

// cut has everything that is in flight fail.
func (s *simulation) cut() (lost int64) {
	n, size := s.pace.slots(), s.pace.size()
	begun := s.now
	s.now = s.now.Add(time.Second)
	for range n {
		s.pace.failed(begun, s.now)
	}
	return int64(n) * size
}

func (s *simulation) send(bytes int64) {
	for sent := int64(0); sent < bytes; {
		sent += s.round()
	}
}

func TestPaceBeginsSmall(t *testing.T) {
	p := newPace(128*kib, 16*mib, 16)
	if p.slots() != 4 || p.size() != 256*kib {
		t.Errorf("%d requests of %d bytes", p.slots(), p.size())
	}
}

func TestPaceFollowsTheLine(t *testing.T) {
	for name, c := range map[string]struct {
		each, all           float64
		rtt                 time.Duration
		leastSlots, slots   int
		leastChunk, largest int64
	}{
		"lossy, so that one connection is slow": {175e3, 25e6, 100 * time.Millisecond, 12, 16, 128 * kib, mib},
		"one connection fills it":               {25e6, 25e6, 20 * time.Millisecond, 1, 8, 4 * mib, 16 * mib},
		"very fast":                             {1e9, 4e9, time.Millisecond, 1, 16, 16 * mib, 16 * mib},
		"very slow":                             {10e3, 10e3, 300 * time.Millisecond, 1, 4, 128 * kib, 128 * kib},
	} {
		s := newSimulation(c.each, c.all, c.rtt)
		s.send(min(int64(c.all*120), 3<<30))
		if n, size := s.pace.slots(), s.pace.size(); n < c.leastSlots || n > c.slots || size < c.leastChunk || size > c.largest {
			t.Errorf("%s: %d requests of %d KiB at once", name, n, size/kib)
		}
	}
}

func TestPaceReachesManyRequestsBeforeMuchIsSent(t *testing.T) {
	s := newSimulation(175e3, 25e6, 100*time.Millisecond)
	begun := s.now
	s.send(16 * mib)
	if took := s.now.Sub(begun); s.pace.slots() < 8 || took > 25*time.Second {
		t.Errorf("%d requests at once after 16 MiB and %v", s.pace.slots(), took)
	}
}

func TestPaceRisksLittleOnALineThatBreaksOften(t *testing.T) {
	for _, every := range []int64{mib, 4 * mib, 10 * mib, 20 * mib, 100 * mib} {
		s := newSimulation(20e6, 100e6, 10*time.Millisecond)
		var lost int64
		for range 50 {
			s.send(every)
			lost += s.cut() / 2
		}
		if share := float64(lost) / float64(50*every); share > 0.15 {
			t.Errorf("a cut every %d MiB costs %.2f bytes for each that is stored", every/mib, share)
		}
	}
}

func TestPaceRecoversFromAFailure(t *testing.T) {
	s := newSimulation(1e6, 100e6, 50*time.Millisecond)
	s.send(256 * mib)
	before := s.pace.slots()
	s.cut()
	if after := s.pace.slots(); after > before/2+1 {
		t.Errorf("%d requests at once after a failure, %d before", after, before)
	}
	s.send(256 * mib)
	if after := s.pace.slots(); after < before-2 {
		t.Errorf("%d requests at once long after a failure, %d before", after, before)
	}
}

func TestFailuresOfChunksInFlightTogetherCountOnce(t *testing.T) {
	s := newSimulation(1e6, 100e6, 50*time.Millisecond)
	s.send(256 * mib)
	one := s.pace
	one.failed(s.now, s.now.Add(time.Second))
	s.cut()
	if s.pace.slots() != one.slots() || s.pace.size() != one.size() {
		t.Errorf("%d requests of %d bytes after all failed, %d of %d after one did", s.pace.slots(), s.pace.size(), one.slots(), one.size())
	}
}

func TestPaceKeepsBelowALengthThatAProxyRejected(t *testing.T) {
	s := newSimulation(1e9, 4e9, time.Millisecond)
	s.send(256 * mib)
	for size := s.pace.size(); size > mib; size = s.pace.size() {
		if !s.pace.tooLarge(size) {
			t.Fatal("no shorter chunks are possible")
		}
	}
	s.send(256 * mib)
	if s.pace.size() > mib {
		t.Errorf("chunks have %d bytes again", s.pace.size())
	}
	if s.pace.tooLarge(128 * kib) {
		t.Error("chunks can be shorter than the shortest")
	}
}
