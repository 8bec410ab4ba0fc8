package webhook

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"
)

// schedule says when an event is told. Its instants depend on the event and on when
// it happened alone, so that nothing has to be remembered of tries, and all nodes,
// today's and tomorrow's, try at the same ones.
type schedule struct {
	first time.Duration // from the event to the second try; the first is made at once
	last  time.Duration // after which none is made
}

// steps are the tries after the first, as multiples of schedule.first: with 5 s after
// 5 s, 20 s, 1, 3, 8, 15 and 30 minutes, and from then on every 30.
var steps = [...]int64{1, 4, 12, 36, 96, 180, 360}

const everyStep = 360

// offset is when try n is due at the earliest, counted from 1.
func (s schedule) offset(n int64) time.Duration {
	if n <= int64(len(steps)) {
		return time.Duration(steps[n-1]) * s.first
	}
	return time.Duration(n-int64(len(steps))+1) * everyStep * s.first
}

// at is when try n of an event is made: up to a third of the way to the next one
// later, so that not all events of an outage are told at once when it ends.
func (s schedule) at(event string, happened time.Time, n int64) time.Time {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", event, n))
	third := float64(s.offset(n+1)-s.offset(n)) / 3
	part := float64(binary.BigEndian.Uint32(sum[:])) / (1 << 32)
	return happened.Add(s.offset(n) + time.Duration(third*part))
}

// next is the first try after the given time, and whether there is one.
func (s schedule) next(event string, happened, after time.Time) (time.Time, bool) {
	n := int64(1)
	if late := after.Sub(happened); late > s.offset(int64(len(steps))) {
		n = int64(late/(everyStep*s.first)) + int64(len(steps)) - 2
	}
	for ; s.offset(n) <= s.last; n++ {
		if at := s.at(event, happened, n); at.After(after) {
			return at, true
		}
	}
	return time.Time{}, false
}
