package disk

import "github.com/holdfast-upload/holdfast/storage"

// LinksFail makes the store meet err whenever it makes a hard link.
func (s *Store) LinksFail(err error) {
	s.fs = linkless{s.fs, err}
}

type linkless struct {
	fileSystem
	err error
}

func (l linkless) Link(string, string) error { return l.err }

// RemoveFile is the step of a deletion that takes the file away.
func (s *Store) RemoveFile(up storage.Upload) error { return s.removeFile(up) }

// ForgetClaims lets the next upload have its file where that of another is to be, as if
// both had come to be before claims were known.
func (s *Store) ForgetClaims() {
	s.reservations.mu.Lock()
	defer s.reservations.mu.Unlock()
	s.reservations.loaded, s.reservations.ids, s.reservations.dirs = true, map[string]string{}, map[string]int{}
}
