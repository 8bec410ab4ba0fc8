package storage

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"
)

// schedule computes the times of delivery attempts. They depend only on the event and on
// when it occurred, so that no attempt has to be recorded, and all nodes try at the same
// times, even after a restart.
type schedule struct {
	first time.Duration // from the event to the second attempt; the first is made at once
	last  time.Duration // from the event to the end of attempts
}

// steps are the attempts after the first, as multiples of schedule.first: with 5 s after
// 5 s, 20 s, 1, 3, 8, 15 and 30 minutes, and from then on every 30.
var steps = [...]int64{1, 4, 12, 36, 96, 180, 360}

const maxStep = 360

// offset returns when attempt n is due at the earliest, counted from 1.
func (s schedule) offset(n int64) time.Duration {
	if n <= int64(len(steps)) {
		return time.Duration(steps[n-1]) * s.first
	}
	return time.Duration(n-int64(len(steps))+1) * maxStep * s.first
}

// at returns when attempt n of an event is made: its offset plus a jitter of up to a
// third of the interval to the next one, so that after an outage not all events are
// delivered at once.
func (s schedule) at(event string, occurred time.Time, n int64) time.Time {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", event, n))
	third := float64(s.offset(n+1)-s.offset(n)) / 3
	jitter := float64(binary.BigEndian.Uint32(sum[:])) / (1 << 32)
	return occurred.Add(s.offset(n) + time.Duration(third*jitter))
}

// next returns the first attempt after the given time, and whether there is one.
func (s schedule) next(event string, occurred, after time.Time) (time.Time, bool) {
	n := int64(1)
	if age := after.Sub(occurred); age > s.offset(int64(len(steps))) {
		n = int64(age/(maxStep*s.first)) + int64(len(steps)) - 2
	}
	for ; s.offset(n) <= s.last; n++ {
		if at := s.at(event, occurred, n); at.After(after) {
			return at, true
		}
	}
	return time.Time{}, false
}

// afterOthers returns when to deliver an event that another process may be about to
// deliver: at the next scheduled time while the event is new, or else now.
func (s schedule) afterOthers(event string, occurred, now time.Time) time.Time {
	if at, ok := s.next(event, occurred, now); ok && now.Sub(occurred) < s.offset(2) {
		return at
	}
	return now
}
