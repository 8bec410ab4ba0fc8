package s3

import (
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

// withSums returns l for a multipart upload that is created with the given checksums.
func withSums(l layout.Layout, sums api.Sums) layout.Layout {
	l.Summed, l.OfParts = sums != api.SumsOff, sums == api.SumsOfParts
	return l
}

// clientOf returns the client for requests about the multipart upload of a layout, which may
// have been created by a process for which S3 verified other checksums.
func (s *Store) clientOf(l layout.Layout) *api.Client {
	switch {
	case !l.Summed:
		return s.client.WithSums(api.SumsOff)
	case l.OfParts:
		return s.client.WithSums(api.SumsOfParts)
	}
	return s.client.WithSums(api.SumsWhole)
}
