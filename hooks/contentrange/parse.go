package contentrange

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/holdfast-upload/holdfast/storage"
)

// unknown stands for an end or a total that the client did not send.
const unknown = storage.Unknown

// contentRange is the parsed Content-Range header of a request.
type contentRange struct {
	query      bool  // "bytes */…": no range, but a query of the state
	start, end int64 // half-open; end is unknown for "bytes a-*/…"
	total      int64 // unknown for "*"
}

// parse parses a Content-Range field value: "bytes a-b/T" (RFC 9110, section 14.4). Either b
// or T, or all of a-b, may be "*" if the client does not know it yet. Spaces and tabs are
// allowed between the parts.
//
// A range that ends before it begins is an error, except for an empty one as clients write
// it, b = a-1, even with a = 0: "bytes 0--1/0".
func parse(value string) (contentRange, error) {
	bad := func(reason string) (contentRange, error) {
		return contentRange{}, fmt.Errorf("%w: Content-Range %.100q: %s", storage.ErrBadRequest, value, reason)
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
	if reason := c.parseSpan(span); reason != "" {
		return bad(reason)
	}
	if c.total != unknown && max(c.start, c.end) > c.total {
		return bad("the range runs beyond the total")
	}
	return c, nil
}

// parseSpan parses "a-b" or "a-*". It returns the reason for which span is invalid, "" if it
// is valid.
func (c *contentRange) parseSpan(span string) (reason string) {
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

// number parses a string of digits that fits into an int64.
func number(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}
