package storage

import "fmt"

// MaxParts is the maximum number of parts of a concatenation. It bounds the state that a
// hostile client can make the server keep.
const MaxParts = 1000

// MaxRepeats is how often a concatenation may have the same part: a short request must not
// make a large file of a small one.
const MaxRepeats = 8

// checkParts checks the parts of a new upload.
func checkParts(rec Record) error {
	if len(rec.Parts) > MaxParts {
		return fmt.Errorf("%w: %d parts, at most %d are allowed", ErrBadRequest, len(rec.Parts), MaxParts)
	}
	times := map[string]int{}
	for _, id := range rec.Parts {
		if id == rec.ID {
			return fmt.Errorf("%w: %s is a part of itself", ErrBadRequest, rec.ID)
		}
		if times[id]++; times[id] > MaxRepeats {
			return fmt.Errorf("%w: %.128s is a part more than %d times", ErrBadRequest, id, MaxRepeats)
		}
	}
	return nil
}
