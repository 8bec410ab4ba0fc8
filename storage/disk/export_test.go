package disk

import "github.com/holdfast-upload/holdfast/storage"

// LinksFail makes hard links fail with err.
func (s *Store) LinksFail(err error) {
	s.fs = linkless{s.fs, err}
}

type linkless struct {
	fileSystem
	err error
}

func (l linkless) Link(string, string) error { return l.err }

// RemoveFile is the step of a deletion that removes the file.
func (s *Store) RemoveFile(up storage.Upload) error { return s.removeFile(up) }

// ForgetReservations drops all key reservations, as if the uploads had been created by a
// version without them.
func (s *Store) ForgetReservations() {
	s.reservations.mu.Lock()
	defer s.reservations.mu.Unlock()
	s.reservations.loaded, s.reservations.ids, s.reservations.dirs = true, map[string]string{}, map[string]int{}
}
