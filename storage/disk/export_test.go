package disk

import "github.com/holdfast-upload/holdfast/storage"

// LinksFail makes the store meet err whenever it makes a hard link.
func (s *Store) LinksFail(err error) {
	s.link = func(string, string) error { return err }
}

// RemoveFile is the step of a deletion that takes the file away.
func (s *Store) RemoveFile(up storage.Upload) error { return s.removeFile(up) }
