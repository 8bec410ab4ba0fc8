package tus

import (
	"fmt"
	"strings"

	"github.com/holdfast-upload/holdfast/storage"
)

// checkConcat rejects an Upload-Concat header with more than storage.MaxParts parts,
// before any of them is loaded.
func checkConcat(value string) error {
	if n := len(strings.Fields(value)); n > storage.MaxParts {
		return fmt.Errorf("%w: Upload-Concat names %d parts, at most %d are allowed", storage.ErrBadRequest, n, storage.MaxParts)
	}
	return nil
}
