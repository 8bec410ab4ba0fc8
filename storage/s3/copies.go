package s3

import (
	"log/slog"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

// copyAgainAfter is how long after S3 has refused to combine copies none are tried.
const copyAgainAfter = time.Hour

// copyHealth remembers that S3 has refused to copy, or to combine the copies. The zero value
// is ready to use.
type copyHealth struct {
	mu sync.Mutex
	at time.Time // of the last refusal
}

func (h *copyHealth) refused() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.at.IsZero() && time.Since(h.at) < copyAgainAfter
}

// failed records that a concatenation failed with err. If that was a refusal, the next ones
// do not try to copy.
func (h *copyHealth) failed(log *slog.Logger, err error) {
	if !api.Refused(err) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = time.Now()
	log.Warn("S3 refused to concatenate files; for an hour holdfast reads and writes them itself", "error", err)
}

// copyClient returns the client for a multipart upload of copies. It has no checksums if
// those of copies may be wrong (versitygw 1.8 gives a part of a file the checksum of the
// whole file), or missing.
func (s *Store) copyClient(ofParts bool) *api.Client {
	if ofParts || s.client.Can.Sums == api.SumsOfParts {
		return s.client.WithSums(api.SumsOff)
	}
	return s.client
}

// splitEqually splits files into ranges of one length, of which only the very last may be
// shorter: some S3 servers (Cloudflare R2) accept no others. It returns nil if there is no
// such length from layout.MinPart to size, or if that makes more than twice as many ranges as needed.
func splitEqually(files []storage.Upload, size int64) []copyRange {
	length := size
	if len(files) > 1 {
		length = largestDivisor(commonDivisor(files[:len(files)-1]), size)
	}
	if length < layout.MinPart {
		return nil
	}
	var all, least int64
	for _, f := range files {
		all += (f.Size + length - 1) / length
		least += (f.Size + size - 1) / size
	}
	if all > min(2*least, layout.MaxParts) {
		return nil
	}
	var copies []copyRange
	for _, f := range files {
		for at := int64(0); at < f.Size; at += length {
			copies = append(copies, copyRange{ranges.Range{Start: at, End: min(at+length, f.Size)}, f.Record})
		}
	}
	return copies
}

// commonDivisor returns the greatest common divisor of the sizes of files.
func commonDivisor(files []storage.Upload) int64 {
	a := files[0].Size
	for _, f := range files[1:] {
		for b := f.Size; b > 0; {
			a, b = b, a%b
		}
	}
	return a
}

// largestDivisor returns the largest divisor of n from layout.MinPart to limit, or 0 if there is none.
func largestDivisor(n, limit int64) int64 {
	for d := (n + limit - 1) / limit; n/d >= layout.MinPart; d++ {
		if n%d == 0 {
			return n / d
		}
	}
	return 0
}
