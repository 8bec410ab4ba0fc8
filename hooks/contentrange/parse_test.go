package contentrange

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
)

func TestParseAcceptsEveryFormThatClientsSend(t *testing.T) {
	for _, c := range []struct {
		value string
		want  contentRange
	}{
		{"bytes 0-52428799/1073741824", contentRange{start: 0, end: 52428800, total: 1073741824}},
		{"bytes 0-0/1", contentRange{start: 0, end: 1, total: 1}},
		{"bytes 5-9/*", contentRange{start: 5, end: 10, total: unknown}},
		{"bytes 0-*/600000", contentRange{start: 0, end: unknown, total: 600000}},
		{"bytes 0-*/*", contentRange{start: 0, end: unknown, total: unknown}},
		{"bytes */100", contentRange{query: true, end: unknown, total: 100}},
		{"bytes */0", contentRange{query: true, end: unknown, total: 0}},
		{"bytes */*", contentRange{query: true, end: unknown, total: unknown}},
		{"bytes 0--1/0", contentRange{start: 0, end: 0, total: 0}},
		{"bytes 0--1/*", contentRange{start: 0, end: 0, total: unknown}},
		{"bytes 100-99/100", contentRange{start: 100, end: 100, total: 100}},
		{"BYTES 0-9/10", contentRange{start: 0, end: 10, total: 10}},
		{"  bytes  0 - 9 / 10 ", contentRange{start: 0, end: 10, total: 10}},
		{"bytes\t0-9/10", contentRange{start: 0, end: 10, total: 10}},
		{"bytes 9223372036854775806-9223372036854775806/9223372036854775807",
			contentRange{start: math.MaxInt64 - 1, end: math.MaxInt64, total: math.MaxInt64}},
	} {
		if got, err := parse(c.value); err != nil || got != c.want {
			t.Errorf("%q: %+v, %v; want %+v", c.value, got, err, c.want)
		}
	}
}

func TestParseRejectsInvalidRanges(t *testing.T) {
	for _, value := range []string{
		"", "bytes", "bytes ", "bytes 0-9", "0-9/10", "bytes=0-9/10", "items 0-9/10", "part 3/*", "bytes0-9/10",
		"bytes 9-5/10", "bytes 100-98/99", "bytes 5--1/10", "bytes 0-9/5", "bytes 0-10/10", "bytes 11-*/10",
		"bytes -5/10", "bytes -5-9/10", "bytes +1-9/10", "bytes 1-+9/10", "bytes 0-9/-1", "bytes 0x0-9/10", "bytes 0-9/1e3",
		"bytes 0-9223372036854775807/*", "bytes 0-9223372036854775808/*", "bytes 0-18446744073709551616/*",
		"bytes 0-9/9223372036854775808", "bytes 0-9/" + strings.Repeat("9", 30), "bytes " + strings.Repeat("9", 30) + "-*/*",
		"bytes 0-9/10, bytes 20-29/30", "bytes 0-4,5-9/10", "bytes 0-9/10/10", "bytes */", "bytes /10", "bytes **/10", "bytes ٠-٩/10",
	} {
		if got, err := parse(value); !errors.Is(err, storage.ErrBadRequest) {
			t.Errorf("%q: %+v, %v; want ErrBadRequest", value, got, err)
		}
	}
}

func FuzzParseReturnsOnlyValidRanges(f *testing.F) {
	for _, seed := range []string{"bytes 0-9/10", "bytes */10", "bytes 0--1/0", "bytes 0-*/*", "bytes 9223372036854775806-9223372036854775807/*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		c, err := parse(value)
		if err != nil {
			return
		}
		if c.start < 0 || c.end < unknown || c.total < unknown || c.query && (c.start != 0 || c.end != unknown) {
			t.Errorf("%q: %+v", value, c)
		}
		if c.end != unknown && c.end < c.start || c.total != unknown && max(c.start, c.end) > c.total {
			t.Errorf("%q: %+v", value, c)
		}
	})
}
