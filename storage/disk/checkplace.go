package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// CheckPlace returns an error if finished files cannot be in a directory, a key such as
// "videos/2030" or "" for the data directory itself: it, or the deepest of its parents that
// exists, is on another file system, to which a file cannot be linked, or is not writable.
func (s *Store) CheckPlace(key string) error {
	dir := s.dir
	for name := range strings.SplitSeq(key, "/") {
		info, err := s.fs.Stat(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("%s is not a directory", filepath.Join(dir, name))
		}
		dir = filepath.Join(dir, name)
	}
	err := s.linkProbe(dir)
	if errors.Is(err, syscall.EXDEV) {
		return fmt.Errorf("%s is on another file system than %s: each finished file would be copied there, "+
			"so make --data a directory on that file system", dir, s.own())
	}
	return err
}

// linkProbe gives a file a name in a directory as nameFile does, and removes it.
func (s *Store) linkProbe(dir string) error {
	name := fmt.Sprintf("probe%d", rand.Uint64())
	from, to := s.own("live", name), filepath.Join(dir, "."+name)
	probe, err := s.fs.OpenFile(from, os.O_CREATE|os.O_EXCL|os.O_WRONLY)
	if err != nil {
		return err
	}
	err = errors.Join(probe.Close(), s.linkFile(from, to))
	return errors.Join(err, s.removeAll(from, to))
}
