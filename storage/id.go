package storage

import (
	"crypto/rand"
	"fmt"
	"strings"
)

// MaxIDLength is the maximum length of an upload's id in characters.
const MaxIDLength = 128

// NewID returns an unguessable id: 26 letters and digits, 128 random bits.
func NewID() string { return strings.ToLower(rand.Text()) }

// CheckID returns ErrBadID unless id consists of 1 to 128 letters, digits, "-", "_",
// "." or "~" and begins with a letter or a digit. Such an id needs no escaping in a
// URL, and is a safe name for a file or an object.
func CheckID(id string) error {
	switch {
	case id == "":
		return fmt.Errorf("%w: it is empty", ErrBadID)
	case len(id) > MaxIDLength:
		return fmt.Errorf("%w: it has %d characters, at most %d are allowed", ErrBadID, len(id), MaxIDLength)
	case !isAlphanumeric(id[0]):
		return fmt.Errorf("%w: it must begin with a letter or a digit", ErrBadID)
	}
	for i := range len(id) {
		if !isAlphanumeric(id[i]) && !strings.ContainsRune("-_.~", rune(id[i])) {
			return fmt.Errorf("%w: only letters, digits, '-', '_', '.' and '~' are allowed", ErrBadID)
		}
	}
	return nil
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
