package tus

import (
	"fmt"
	"strings"

	"github.com/holdfast-upload/holdfast/storage"
)

// checkConcat refuses an Upload-Concat header that names more parts than an upload may
// have, before any of them is looked for.
func checkConcat(value string) error {
	if n := len(strings.Fields(value)); n > storage.MaxParts {
		return fmt.Errorf("%w: Upload-Concat names %d parts, at most %d are allowed", storage.ErrBadRequest, n, storage.MaxParts)
	}
	return nil
}
