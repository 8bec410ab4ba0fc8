package protocol

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// The keys of the lifetime in an Upload-Limit: MaxAge since interop version 7 of the draft,
// Expires in version 6.
const (
	MaxAge  = "max-age"
	Expires = "expires"
)

// MaxSize returns the largest size that an upload may have, in bytes, 0 if there is no
// limit: that of the server, of the principal in ctx, or of the upload itself.
func MaxSize(ctx context.Context, uploads *storage.Uploads, up storage.Upload) int64 {
	principal, _ := PrincipalFrom(ctx)
	limit := uploads.MaxSize()
	for _, other := range []int64{principal.MaxSize, up.MaxSize} {
		if other > 0 && (limit == 0 || other < limit) {
			limit = other
		}
	}
	return limit
}

// UploadLimit returns the value of Upload-Limit (draft-ietf-httpbis-resumable-upload) for an
// upload, or for the zero Upload before there is one. There is always a limit: a smallest
// size of 0 means that there is no other. The lifetime, in seconds, is given with each key.
func UploadLimit(ctx context.Context, uploads *storage.Uploads, up storage.Upload, lifetime ...string) string {
	limits := "min-size=0"
	if largest := MaxSize(ctx, uploads, up); largest > 0 {
		limits += fmt.Sprintf(", max-size=%d", largest)
	}
	left := uploads.ExpireAfter()
	if up.ID != "" {
		at := uploads.Expires(up)
		if at.IsZero() {
			return limits
		}
		left = max(0, time.Until(at))
	} else if left == 0 {
		return limits
	}
	for _, key := range lifetime {
		limits += fmt.Sprintf(", %s=%d", key, left/time.Second)
	}
	return limits
}
