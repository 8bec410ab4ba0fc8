package tus

import (
	"net/http"
	"strconv"

	"github.com/tus/tusd/v2/pkg/handler"
)

// acceptRepeated makes tusd accept a PATCH that repeats stored bytes or the known length.
//
// tusd accepts a PATCH at the current offset only. A client that resumes may be behind:
// bytes of its last request may have been stored after it asked for the offset. Stored
// bytes are kept and repeated ones dropped, so a request may begin at any offset up to the
// current one: info gets the request's offset. Likewise info hides a known length, so that
// tusd lets the client declare the same length again.
func (x *response) acceptRepeated(info *handler.FileInfo) {
	if x.r.Method != http.MethodPatch {
		return
	}
	offset, err := strconv.ParseInt(x.r.Header.Get("Upload-Offset"), 10, 64)
	if err == nil && 0 <= offset && offset < info.Offset {
		info.Offset = offset
	}
	length, err := strconv.ParseInt(x.r.Header.Get("Upload-Length"), 10, 64)
	if err == nil && !info.SizeIsDeferred && length == info.Size {
		info.Size, info.SizeIsDeferred = 0, true
	}
}
