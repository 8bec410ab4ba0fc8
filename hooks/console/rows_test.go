package console

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func TestMapShowsWhatIsReceived(t *testing.T) {
	const huge = math.MaxInt64
	for name, c := range map[string]struct {
		received []ranges.Range
		size     int64
		want     string
	}{
		"nothing":          {nil, 1000, strings.Repeat("0", 100)},
		"all":              {[]ranges.Range{{Start: 0, End: 1000}}, 1000, strings.Repeat("9", 100)},
		"a half":           {[]ranges.Range{{Start: 500, End: 1000}}, 1000, strings.Repeat("0", 50) + strings.Repeat("9", 50)},
		"parts of cells":   {[]ranges.Range{{Start: 5, End: 20}, {Start: 29, End: 30}}, 1000, "491" + strings.Repeat("0", 97)},
		"all but a byte":   {[]ranges.Range{{Start: 0, End: 9999}}, 10000, strings.Repeat("9", 99) + "7"},
		"a byte of much":   {[]ranges.Range{{Start: 0, End: 1}}, 1 << 40, "1" + strings.Repeat("0", 99)},
		"fewer bytes":      {[]ranges.Range{{Start: 1, End: 2}}, 2, strings.Repeat("0", 50) + strings.Repeat("9", 50)},
		"of unknown size":  {[]ranges.Range{{Start: 50, End: 100}}, storage.Unknown, strings.Repeat("0", 50) + strings.Repeat("9", 50)},
		"an empty file":    {nil, 0, strings.Repeat("0", 100)},
		"the largest file": {[]ranges.Range{{Start: 0, End: huge}}, huge, strings.Repeat("9", 100)},
	} {
		if got := coverage(ranges.NewSet(c.received...), c.size); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := union("0159", "9100"); got != "9159" {
		t.Errorf("union: %s", got)
	}
}

func received(id string, n int64) storage.Upload {
	return storage.Upload{Record: storage.Record{ID: id, Size: 1000}, Received: ranges.NewSet(ranges.Range{End: n})}
}

func TestRateIsThatOfTheLastSeconds(t *testing.T) {
	var l live
	at := time.Unix(1000, 0)
	rate := func() int64 {
		rows, _, _ := l.rows(at)
		return rows[0].Rate
	}
	l.event(t.Context(), storage.Event{Type: storage.Created, Upload: received("a", 0)}, at)
	for _, step := range []struct {
		after time.Duration
		got   int64 // bytes received then, 0 for no report
		want  int64
	}{
		{10 * time.Second, 100, 10}, {10 * time.Second, 200, 10}, {time.Second, 600, 28}, {9 * time.Second, 0, 20}, {15 * time.Second, 0, 0},
	} {
		if at = at.Add(step.after); step.got > 0 {
			l.progress(t.Context(), received("a", step.got), at)
		}
		if got := rate(); got != step.want {
			t.Errorf("%v later: %d B/s, want %d", step.after, got, step.want)
		}
	}
	if rows, _, _ := l.rows(at.Add(liveFor)); len(rows) > 0 {
		t.Errorf("an idle upload is still being received: %v", rows)
	}
}

func TestRowsAreBounded(t *testing.T) {
	var l live
	at := time.Unix(1000, 0)
	for i := range 3 * maxRows {
		id := fmt.Sprintf("u%d", i)
		up := received(id, 10)
		up.Metadata = storage.Metadata{"filename": strings.Repeat("ä", 500)}
		l.progress(t.Context(), up, at)
		l.event(t.Context(), storage.Event{Type: storage.Finished, Local: true, Upload: storage.Upload{Record: up.Record, Finished: true}}, at)
		l.progress(t.Context(), up, at) // of another request
		l.progress(t.Context(), up, at.Add(time.Second))
	}
	rows, finished, full := l.rows(at.Add(2 * time.Second))
	if len(rows) != maxRows || len(finished) != maxRows || !full {
		t.Errorf("%d and %d rows, full: %t", len(rows), len(finished), full)
	}
	if n := len(rows[0].Name); n > maxText+4 || !strings.HasSuffix(rows[0].Name, "ä…") {
		t.Errorf("a name has %d bytes: %q", n, rows[0].Name)
	}
	late := at.Add(keptFor + 2*time.Second)
	l.progress(t.Context(), received("late", 10), late)
	if rows, _, _ = l.rows(late); len(rows) != maxRows || rows[0].ID != "late" && !strings.Contains(fmt.Sprint(rows), "late") {
		t.Error("an idle upload keeps its row from a new one")
	}
	if _, finished, _ = l.rows(at.Add(finishedFor + time.Minute)); len(finished) > 0 {
		t.Errorf("%d finished uploads are kept for ever", len(finished))
	}
}

func TestManyRangesAreKeptAsAMap(t *testing.T) {
	var l live
	up := storage.Upload{Record: storage.Record{ID: "a", Size: 10_000}}
	for i := range int64(maxKept + 1) {
		up.Received.Add(ranges.Of(10*i, 5))
	}
	l.progress(t.Context(), up, time.Unix(1000, 0))
	if kept := l.uploads["a"].received.Count(); kept > 0 {
		t.Errorf("%d ranges are kept", kept)
	}
	rows, _, _ := l.rows(time.Unix(1001, 0))
	if rows[0].Map != coverage(up.Received, up.Size) || rows[0].Ranges != maxKept+1 {
		t.Errorf("%v", rows[0])
	}
}

func TestAnUploadOfSeveralNodesHasOneRow(t *testing.T) {
	a := Row{ID: "x", Node: "a", Size: 100, Received: 60, Map: "9990", Created: 1, Last: 5, Rate: 3}
	b := Row{ID: "x", Node: "b", Size: 100, Received: 50, Map: "0099", Created: 1, Last: 6, Rate: 9}
	done := Row{ID: "y", Node: "b", Created: 2}
	receiving, finished := merge([]Node{{Receiving: []Row{a, done}}, {Receiving: []Row{b}, Finished: []Row{done}}})
	want := Row{ID: "x", Node: "a, b", Size: 100, Received: 60, Map: "9999", Created: 1, Last: 6, Rate: 9}
	if len(receiving) != 1 || receiving[0] != want || len(finished) != 1 {
		t.Errorf("%v, %v", receiving, finished)
	}
}

func TestFailingIsSinceTheFirstFailure(t *testing.T) {
	var c checks
	c.check = func(context.Context) error { return nil }
	c.ended(errors.New("no bucket"))
	first := c.last()
	time.Sleep(2 * time.Millisecond)
	c.ended(errors.New("no network"))
	if h := c.last(); !h.Used || h.Failing == 0 || h.Failing != first.Failing || h.Error != "no network" || h.Checked == first.Checked {
		t.Errorf("%+v after %+v", h, first)
	}
	c.ended(nil)
	if h := c.last(); h.Failing != 0 || h.Error != "" {
		t.Errorf("%+v", h)
	}
	if h := new(checks).last(); h.Used {
		t.Errorf("what is not there is used: %+v", h)
	}
}

func TestListingKeepsTheLatestAndTheDead(t *testing.T) {
	var f Listing
	for i := range 2 * maxRows {
		at := time.Unix(int64(1000+i*7919%500), 0)
		f.addWaiting(storage.Upload{Record: storage.Record{ID: fmt.Sprint(i)}, ModifiedAt: at}, at)
		f.addDelivery(storage.Upload{Record: storage.Record{ID: fmt.Sprint(i)}, Finished: true, DeliveryPending: true, ModifiedAt: at, DeadLettered: i%50 == 0})
	}
	if len(f.Waiting) != maxRows || f.WaitingCount != 2*maxRows || len(f.Deliveries) != maxRows || f.DeadCount != 8 || f.PendingCount != 2*maxRows-8 {
		t.Errorf("%d of %d, %d of %d and %d", len(f.Waiting), f.WaitingCount, len(f.Deliveries), f.DeadCount, f.PendingCount)
	}
	for i := 1; i < maxRows; i++ {
		if f.Waiting[i].Last > f.Waiting[i-1].Last {
			t.Fatalf("waiting %d is later than the one before it", i)
		}
		if a, b := f.Deliveries[i-1], f.Deliveries[i]; b.DeadLettered && !a.DeadLettered || a.DeadLettered == b.DeadLettered && a.Last > b.Last {
			t.Fatalf("delivery %d is out of order", i)
		}
	}
}

func TestTimesFollowTheClockOfThePage(t *testing.T) {
	for name, c := range map[string]struct{ at, want int64 }{
		"a late post": {1_000_000 - 9000, 0}, "a clock that is ahead": {1_060_000, -60_000}, "a clock that is behind": {940_000, 60_000},
	} {
		n := Node{At: c.at, Started: 500, Store: Health{Checked: 600}, Receiving: []Row{{Last: 700}}}
		n.adjust(1_000_000)
		if n.Started != 500+c.want || n.Store.Checked != 600+c.want || n.Store.Failing != 0 || n.Receiving[0].Last != 700+c.want {
			t.Errorf("%s: %+v", name, n)
		}
	}
}
