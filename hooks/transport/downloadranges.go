package transport

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// maxDownloadRanges is the maximum number of ranges of a download: the store is asked for
// each of them.
const maxDownloadRanges = 8

// withoutManyRanges returns r without its Range if that has more than maxDownloadRanges
// ranges, or overlapping ones, so that the response is the whole file (RFC 9110, section
// 14.2). An invalid Range is left to the caller.
func withoutManyRanges(r *http.Request, size int64) *http.Request {
	specs, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if !ok || !tooMany(specs, size) {
		return r
	}
	whole := r.WithContext(r.Context())
	whole.Header = r.Header.Clone()
	whole.Header.Del("Range")
	return whole
}

// tooMany reports whether a set of ranges of a file is larger than maxDownloadRanges, or
// has some bytes twice.
func tooMany(specs string, size int64) bool {
	if strings.Count(specs, ",") > 2*maxDownloadRanges { // some list elements may be empty
		return true
	}
	var all ranges.Set
	var n int
	var bytes int64
	for spec := range strings.SplitSeq(specs, ",") {
		if spec = strings.Trim(spec, " \t"); spec == "" {
			continue
		}
		r := readRange(spec, size)
		n++
		bytes += r.Len()
		all.Add(r)
	}
	return n > maxDownloadRanges || bytes > all.Bytes()
}

// readRange parses "first-last", "first-" or "-length" of a file. It returns an empty range
// if spec is invalid or beyond the file.
func readRange(spec string, size int64) ranges.Range {
	first, last, _ := strings.Cut(spec, "-")
	start, startErr := strconv.ParseInt(strings.Trim(first, " \t"), 10, 64)
	end, endErr := strconv.ParseInt(strings.Trim(last, " \t"), 10, 64)
	r := ranges.Range{Start: start, End: size}
	switch {
	case first == "" && endErr == nil:
		r.Start = size - min(size, end)
	case startErr != nil:
		return ranges.Range{}
	case endErr == nil:
		r.End = min(size, end+1) // not beyond MaxInt64: size is less
	}
	if !r.Valid() || end < 0 {
		return ranges.Range{}
	}
	return r
}
