package ietf

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// errDiffers means that a client sends another file to the URL of an upload.
var errDiffers = fmt.Errorf("%w: it has other bytes", storage.ErrExists)

// file is what is known of the beginning of a file that this process has received.
type file struct {
	created time.Time             // when the upload was
	length  int64                 // of that beginning
	sum     crc32c.Sum            // of it
	repr    *transport.ReprDigest // of it, nil if the client gave no digest of the file

	again crc32c.Sum // of the bytes that a request repeats from the beginning
	whole bool       // the request has begun at 0
}

// add adds bytes at an offset of the file; those that are known already are skipped. It
// returns errDiffers if a file that is sent again has other bytes than before.
func (f *file) add(b []byte, at int64) error {
	if known := min(int64(len(b)), f.length-at); known > 0 {
		f.again = f.again.Append(b[:known])
		b = b[known:]
		if at+known == f.length && f.whole && f.again != f.sum {
			return errDiffers
		}
	}
	f.length += int64(len(b))
	f.sum = f.sum.Append(b)
	if f.repr != nil {
		_, _ = f.repr.Write(b) // a hash never fails
	}
	return nil
}

// maxFiles is the maximum number of uploads in files, at about 1 KiB each.
const maxFiles = 10_000

// files remembers the beginnings of files between the requests of their uploads: to verify
// the digest of a file that arrives in several requests, and to reject another file for the
// same URL before a byte of it is stored. A process that has not received the beginning
// verifies neither. The zero value is ready to use.
type files struct {
	mu   sync.Mutex
	byID map[string]*file
}

// take returns what is known of the file for a request, which then may add to it, nil if
// nothing has to be.
func (f *files) take(x *exchange) *file {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.byID[x.up.ID]
	delete(f.byID, x.up.ID)
	if known != nil && known.created.Equal(x.up.Created) && known.length >= x.offset && (known.repr != nil || x.repr == nil) {
		known.again, known.whole = 0, x.offset == 0 && x.method != http.MethodPatch
		return known
	}
	if x.method == http.MethodPatch || x.id == "" && x.repr == nil {
		return nil
	}
	return &file{created: x.up.Created, repr: x.repr}
}

// put keeps what is known of an unfinished file for the next request.
func (f *files) put(up storage.Upload, known *file) {
	if known == nil || up.Finished {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byID == nil {
		f.byID = map[string]*file{}
	}
	for id := range f.byID {
		if len(f.byID) < maxFiles {
			break
		}
		delete(f.byID, id) // any of them
	}
	f.byID[up.ID] = known
}
