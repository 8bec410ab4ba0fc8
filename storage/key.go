package storage

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxKeyLength is the maximum length of a Record's Key in bytes. S3 limits an object's
// key to 1024, and the store adds a prefix.
const MaxKeyLength = 800

// maxSegment is the maximum length of a segment of a key in bytes. File systems allow no
// longer names, and would fail only when the upload is finished.
const maxSegment = 255

// CheckKey returns ErrBadRequest unless key is a safe file name below a prefix: 1 to 800
// bytes of UTF-8, in segments of at most 255 bytes between single slashes. No segment is
// empty or begins with a dot, so that none leads to a parent directory or to internal
// files of the store. Backslashes and unprintable characters are not allowed.
func CheckKey(key string) error {
	bad := func(reason string) error { return fmt.Errorf("%w: the key %.100q %s", ErrBadRequest, key, reason) }
	switch {
	case key == "":
		return bad("is empty")
	case len(key) > MaxKeyLength:
		return bad(fmt.Sprintf("has more than %d bytes", MaxKeyLength))
	case !utf8.ValidString(key):
		return bad("is not UTF-8")
	case strings.ContainsFunc(key, func(r rune) bool { return r == '\\' || !unicode.IsPrint(r) }):
		return bad("has a character that is not allowed")
	}
	for segment := range strings.SplitSeq(key, "/") {
		switch {
		case segment == "" || segment[0] == '.':
			return bad("has a segment that is empty or begins with a dot")
		case len(segment) > maxSegment:
			return bad(fmt.Sprintf("has a segment of more than %d bytes", maxSegment))
		}
	}
	return nil
}
