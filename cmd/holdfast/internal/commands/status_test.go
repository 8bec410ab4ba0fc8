package commands

import (
	"math"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/client"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func TestRangesAreDrawn(t *testing.T) {
	for _, c := range []struct {
		received []ranges.Range
		size     int64
		want     string
	}{
		{nil, 100, "░░░░░░░░░░"},
		{[]ranges.Range{{Start: 0, End: 100}}, 100, "██████████"},
		{[]ranges.Range{{Start: 0, End: 25}, {Start: 80, End: 100}}, 100, "██▒░░░░░██"},
		{[]ranges.Range{{Start: 5, End: 6}}, 10, "░░░░░█░░░░"},
		{[]ranges.Range{{Start: 0, End: 50}}, -1, "██████████"},
		{nil, 0, "██████████"},
		{nil, -1, "░░░░░░░░░░"},
		{[]ranges.Range{{Start: 0, End: math.MaxInt64 / 2}}, math.MaxInt64, "█████░░░░░"},
	} {
		if got := drawRanges(c.received, c.size, 10); got != c.want {
			t.Errorf("%v of %d: %s, want %s", c.received, c.size, got, c.want)
		}
	}
}

func TestProgressIsPutInWords(t *testing.T) {
	p := client.Progress{Size: 100 << 20, Stored: 40 << 20, InFlight: 10 << 20, Resumed: 30 << 20}
	const want = "40.0 MiB of 100.0 MiB, 30.0 MiB of them from before, 10.0 MiB/s, 5s left"
	if got := progressText(p, 2*time.Second); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 3 << 30: "3.0 GiB", math.MaxInt64: "8192.0 PiB"} {
		if got := formatBytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
