package tus

import (
	"net/http"
	"strconv"

	"github.com/tus/tusd/v2/pkg/handler"
)

// acceptRepeated has tusd accept a PATCH that repeats what the server knows already.
//
// tusd takes a PATCH at the current offset only. A client that resumes may be behind: what
// its last request brought may have been stored after it asked for the offset. The bytes
// that are there stay and those of the request are dropped, so the request may begin at
// any offset up to the current one, and tusd is shown the one that it names. Likewise a
// length that was declared before may be declared again, if it is the same.
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
