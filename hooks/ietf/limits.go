package ietf

import (
	"context"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
)

// limits returns the value of Upload-Limit for the upload of the request, or for one that
// was not created; "" if the version has none.
func (x *exchange) limits() string {
	if x.lifetime == "" {
		return ""
	}
	return protocol.UploadLimit(x.r.Context(), x.uploads, x.up, x.lifetime)
}

func (x *exchange) maxSize() int64 { return protocol.MaxSize(x.r.Context(), x.uploads, x.up) }

// optionsLimits returns the value of Upload-Limit for uploads to come. It has both keys of
// the lifetime, as the version of the client is not known: clients ignore the other.
func (d *Handler) optionsLimits() string {
	return protocol.UploadLimit(context.Background(), d.uploads, storage.Upload{}, protocol.MaxAge, protocol.Expires)
}
