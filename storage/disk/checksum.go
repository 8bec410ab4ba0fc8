package disk

import (
	"errors"
	"io"
	"slices"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// addChecksum finds the checksum of a complete upload whose journal does not say it, for it
// has ranges without one, or some that end beyond a size which was declared late. What is
// missing is read from the data file. The result is nil if that fails: the file is worth
// more than its checksum. The caller holds the guard of the upload.
func (s *Store) addChecksum(up storage.Upload) *crc32c.Sum {
	u, err := s.acquireGuarded(up.ID)
	if err != nil {
		return nil
	}
	defer s.releaseGuarded(u)
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

// readChecksum is the checksum of the first size bytes of an upload that has them all. The
// caller holds commitMu.
func (u *upload) readChecksum(size int64) (crc32c.Sum, error) {
	data, err := u.store.fs.Open(u.store.dataPath(u.id))
	if err != nil {
		return 0, err
	}
	defer data.Close()
	known := slices.Clone(u.sums)
	err = known.complete(size, func(r ranges.Range) (crc32c.Sum, error) { return readSum(data, r) })
	sum, _ := known.of(size)
	return sum, err
}

// readSum is the checksum of a range of a file.
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
