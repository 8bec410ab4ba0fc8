package disk

import (
	"errors"
	"io"

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
	defer s.release(u)
	u.commitMu.Lock()
	defer u.commitMu.Unlock()
	sum, err := s.readChecksum(up)
	if err == nil {
		err = u.append(checksumLine(up.Size, sum))
	}
	if err != nil {
		return nil
	}
	return &sum
}

func (s *Store) readChecksum(up storage.Upload) (crc32c.Sum, error) {
	text, err := s.readFile(s.livePath(up.ID))
	if err != nil {
		return 0, err
	}
	data, err := s.fs.Open(s.dataPath(up.ID))
	if err != nil {
		return 0, err
	}
	defer data.Close()
	j, _ := parseJournal(text)
	err = j.sums.complete(up.Size, func(r ranges.Range) (crc32c.Sum, error) { return readSum(data, r) })
	sum, _ := j.sums.of(up.Size)
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
