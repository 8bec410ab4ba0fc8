package contentrange

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/holdfast-upload/holdfast/storage"
)

// unknown stands for an end or a total that the client did not say.
const unknown = storage.Unknown

// contentRange is what a Content-Range header of a request says.
type contentRange struct {
	query      bool  // "bytes */…": not a range of bytes, but a question
	start, end int64 // half-open; end is unknown for "bytes a-*/…"
	total      int64 // unknown for "*"
}

// parse reads a Content-Range field value: "bytes a-b/T" (RFC 9110, section 14.4),
// with "*" for what the client does not know yet in the place of b, T, or all of
// a-b. Blanks are tolerated between the parts.
//
// A range that ends before it begins is refused, but for the one by which clients
// write an empty body, b = a-1, also for a = 0: "bytes 0--1/0".
func parse(value string) (contentRange, error) {
	bad := func(why string) (contentRange, error) {
		return contentRange{}, fmt.Errorf("%w: Content-Range %.100q: %s", storage.ErrBadRequest, value, why)
	}
	text := strings.Trim(value, " \t")
	if len(text) < 6 || !strings.EqualFold(text[:5], "bytes") || text[5] != ' ' && text[5] != '\t' {
		return bad(`it must begin with "bytes "`)
	}
	span, total, ok := strings.Cut(text[6:], "/")
	if !ok {
		return bad(`the total is missing: "bytes first-last/total"`)
	}
	c := contentRange{end: unknown, total: unknown}
	if total = strings.Trim(total, " \t"); total != "*" {
		if c.total, ok = number(total); !ok {
			return bad("the total must be * or a number from 0 to 2^63-1")
		}
	}
	if span = strings.Trim(span, " \t"); span == "*" {
		c.query = true
		return c, nil
	}
	if why := c.parseSpan(span); why != "" {
		return bad(why)
	}
	if c.total != unknown && max(c.start, c.end) > c.total {
		return bad("the range runs beyond the total")
	}
	return c, nil
}

// parseSpan reads "a-b" or "a-*", and returns what is wrong with it.
func (c *contentRange) parseSpan(span string) (why string) {
	first, last, ok := strings.Cut(span, "-")
	if !ok {
		return `the range must be "first-last"`
	}
	if c.start, ok = number(strings.Trim(first, " \t")); !ok {
		return "the first offset must be a number from 0 to 2^63-1"
	}
	switch last = strings.Trim(last, " \t"); {
	case last == "*":
		return ""
	case last == "-1" && c.start == 0:
		c.end = 0
		return ""
	}
	lastOffset, ok := number(last)
	if !ok || lastOffset == math.MaxInt64 {
		return "the last offset must be * or a number from 0 to 2^63-2"
	}
	if c.end = lastOffset + 1; c.end < c.start {
		return "the last offset is before the first"
	}
	return ""
}

// number reads a string of digits that fits into an int64.
func number(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}
