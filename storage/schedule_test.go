package storage

import (
	"fmt"
	"testing"
	"time"
)

var daily = schedule{first: 5 * time.Second, last: 24 * time.Hour}

func TestAttemptsAreMadeAtTheTimesInTheREADME(t *testing.T) {
	occurred := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	want := []time.Duration{5 * time.Second, 20 * time.Second, time.Minute, 3 * time.Minute, 8 * time.Minute, 15 * time.Minute, 30 * time.Minute}
	for at := time.Hour; at <= 24*time.Hour; at += 30 * time.Minute {
		want = append(want, at)
	}
	for _, event := range []string{"a.finished", "b.finished"} {
		after := occurred
		for n, offset := range want {
			at, more := daily.next(event, occurred, after)
			gap := 30 * time.Minute
			if n+1 < len(want) {
				gap = want[n+1] - offset
			}
			if late := at.Sub(occurred.Add(offset)); !more || late < 0 || late >= gap/3 {
				t.Fatalf("try %d of %s comes %v after the event, want %v and at most %v more", n+2, event, at.Sub(occurred), offset, gap/3)
			}
			after = at
		}
		if at, more := daily.next(event, occurred, after); more {
			t.Errorf("there is another try after %v", at.Sub(occurred))
		}
	}
}

func TestAllNodesComputeTheSameAttempts(t *testing.T) {
	occurred := time.Now()
	for late := time.Duration(0); late < 25*time.Hour; late += 7 * time.Minute {
		// At any time, a node finds the first attempt after it of the same list.
		var first time.Time
		for n := int64(1); daily.offset(n) <= daily.last; n++ {
			if at := daily.at("x.finished", occurred, n); at.After(occurred.Add(late)) {
				first = at
				break
			}
		}
		if at, more := daily.next("x.finished", occurred, occurred.Add(late)); more == first.IsZero() || !at.Equal(first) {
			t.Fatalf("%v after the event the next try is at %v, want %v", late, at, first)
		}
	}
}

func TestAttemptsOfDifferentEventsAreSpread(t *testing.T) {
	occurred := time.Now()
	var bins [10]int
	for i := range 1000 {
		at := daily.at(fmt.Sprintf("%d.finished", i), occurred, 1).Sub(occurred.Add(5 * time.Second))
		bins[at*10/(5*time.Second)]++
	}
	for i, n := range bins {
		if n < 50 || n > 150 {
			t.Errorf("of 1000 tries %d are made in tenth %d of their time", n, i)
		}
	}
}

func TestTheNextOfManyAttemptsIsComputedQuickly(t *testing.T) {
	quick := schedule{first: time.Microsecond, last: 24 * time.Hour}
	began, occurred := time.Now(), time.Now()
	for range 1000 {
		quick.next("x", occurred, occurred.Add(23*time.Hour))
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}
