package ietf

import (
	"strconv"
	"strings"
)

// Fields of the protocol.
const (
	interopVersion   = "Upload-Draft-Interop-Version"
	uploadComplete   = "Upload-Complete"
	uploadIncomplete = "Upload-Incomplete"
	uploadOffset     = "Upload-Offset"
	uploadLength     = "Upload-Length"
	uploadLimit      = "Upload-Limit"
)

// maxDigits is the maximum number of digits of an integer (RFC 9651, section 3.3.1).
const maxDigits = 15

// item returns the bare item of a structured field (RFC 9651, section 3.3) without its
// parameters; ok is false if the field is missing or has several values. It does not check
// the bare item.
func item(values []string) (bare string, ok bool) {
	if len(values) != 1 {
		return "", false
	}
	bare, params, has := strings.Cut(strings.Trim(values[0], " "), ";")
	return bare, !has || validParams(params)
}

// validParams reports whether text can be the parameters of an item: keys, with values
// that hold no separators. It need not understand them, as the protocol has none.
func validParams(text string) bool {
	for param := range strings.SplitSeq(text, ";") {
		key, _, _ := strings.Cut(strings.TrimLeft(param, " "), "=")
		if key == "" || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_-.*") != "" || strings.Contains(param, ",") {
			return false
		}
	}
	return true
}

// integer parses a field that is a non-negative Integer. Any other value counts as none.
func integer(values []string) (int64, bool) {
	bare, ok := item(values)
	if !ok || bare == "" || len(bare) > maxDigits || strings.Trim(bare, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(bare, 10, 64)
	return n, err == nil
}

// parseBoolean parses a field that is a Boolean. Any other value counts as none.
func parseBoolean(values []string) (value, ok bool) {
	switch bare, ok := item(values); {
	case ok && bare == "?1":
		return true, true
	case ok && bare == "?0":
		return false, true
	}
	return false, false
}

// boolean returns a Boolean as a structured field.
func boolean(value bool) string {
	if value {
		return "?1"
	}
	return "?0"
}
