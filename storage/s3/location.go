package s3

import (
	"cmp"

	"github.com/holdfast-upload/holdfast/storage"
)

// Location returns where the file of an upload is, or will be, in the form of the
// Storage field of tusd's hooks.
func (s *Store) Location(up storage.Upload) map[string]string {
	return map[string]string{"Type": "s3store", "Bucket": s.opts.Bucket, "Key": s.opts.Prefix + cmp.Or(up.Key, up.ID)}
}
