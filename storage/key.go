package storage

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxKeyLength is how many bytes a Record's Key may have. An object's whole key may
// have 1024 in S3, and something is put before this one.
const MaxKeyLength = 800

// maxSegment is how many bytes a segment of a key may have: file systems take no longer
// names, and would say so only when the upload is to be finished.
const maxSegment = 255

// CheckKey returns an error that is ErrBadRequest unless key can be the name of a
// file below some prefix, and never anything else: 1 to 800 bytes of UTF-8 in
// segments of at most 255 between single slashes. No segment is empty or begins with a
// dot, so that none leads upwards or to what the store keeps for itself, and there is no
// backslash and no character that can't be printed.
func CheckKey(key string) error {
	bad := func(why string) error { return fmt.Errorf("%w: the key %.100q %s", ErrBadRequest, key, why) }
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
