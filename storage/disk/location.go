package disk

import (
	"cmp"
	"path/filepath"

	"github.com/holdfast-upload/holdfast/storage"
)

// Location returns the path of the upload's final file, in the form of the Storage field of
// tusd's hooks.
func (s *Store) Location(up storage.Upload) map[string]string {
	path := filepath.Join(s.dir, filepath.FromSlash(cmp.Or(up.Key, up.ID)))
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return map[string]string{"Type": "filestore", "Path": path}
}
