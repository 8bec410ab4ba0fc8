package tus

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/holdfast-upload/holdfast/storage"
)

// checkMetadata rejects an invalid Upload-Metadata header, parts of which tusd would
// silently drop. Valid are comma-separated pairs of a key and an optional base64 value,
// with unique keys (tus 1.0, section Upload-Metadata).
func checkMetadata(values []string) error {
	if len(values) == 0 || len(values) == 1 && strings.TrimSpace(values[0]) == "" {
		return nil
	}
	bad := func(why string) error {
		return fmt.Errorf("%w: Upload-Metadata: %s", storage.ErrBadRequest, why)
	}
	if len(values) > 1 {
		return bad("more than one header")
	}
	keys := map[string]bool{}
	for pair := range strings.SplitSeq(values[0], ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(pair), " ")
		if key == "" || keys[key] {
			return bad("empty or duplicate key")
		}
		keys[key] = true
		if _, err := base64.StdEncoding.DecodeString(value); err != nil {
			return bad(fmt.Sprintf("the value of %.100q is not base64", key))
		}
	}
	return nil
}
