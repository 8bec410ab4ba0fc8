package tus

import (
	"fmt"

	"github.com/holdfast-upload/holdfast/storage"
)

// checkMetadata rejects an invalid Upload-Metadata header, parts of which tusd would
// silently drop; see storage.ParseMetadata.
func checkMetadata(values []string) error {
	switch len(values) {
	case 0:
		return nil
	case 1:
		_, err := storage.ParseMetadata(values[0])
		return err
	}
	return fmt.Errorf("%w: Upload-Metadata: more than one header", storage.ErrBadRequest)
}
