package disk

import (
	"errors"
	"io"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// addChecksum computes and journals the checksum of a complete upload whose journal lacks
// it: some of its ranges have no checksum, or extend beyond a size that was set later.
// Missing checksums are computed from the data file. It returns nil on failure, which must
// not fail the finish. The caller holds the id lock.
func (s *Store) addChecksum(up storage.Upload) *crc32c.Sum {
	u, err := s.acquireLocked(up.ID)
	if err != nil {
		return nil
	}
	defer s.releaseLocked(u)
	u.commitMu.Lock()
	defer u.commitMu.Unlock()
	sum, err := u.readChecksum(up.Size)
	if err == nil {
		err = u.append(checksumLine(up.Size, sum))
	}
	if err != nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.whole = rangeSum{ranges.Range{End: up.Size}, sum}
	return &sum
}

// readChecksum returns the checksum of the first size bytes, all of which must be there. The
// caller holds commitMu.
func (u *upload) readChecksum(size int64) (crc32c.Sum, error) {
	data, err := u.store.fs.Open(u.store.dataPath(u.id))
	if err != nil {
		return 0, err
	}
	defer data.Close()
	known := u.sums
	err = known.complete(size, func(r ranges.Range) (crc32c.Sum, error) { return readSum(data, r) })
	sum, _ := known.of(size)
	return sum, err
}

// readSum returns the checksum of a range of a file.
func readSum(file io.ReadSeeker, r ranges.Range) (sum crc32c.Sum, err error) {
	if _, err := file.Seek(r.Start, io.SeekStart); err != nil {
		return 0, err
	}
	block := blocks.Get().(*[blockSize]byte)
	defer blocks.Put(block)
	for at := r.Start; at < r.End; {
		n, err := file.Read(block[:min(blockSize, r.End-at)])
		sum = sum.Append(block[:n])
		at += int64(n)
		if errors.Is(err, io.EOF) && at < r.End {
			return 0, io.ErrUnexpectedEOF
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
	}
	return sum, nil
}
