package disk

import "io/fs"

// setMode gives the data file of an upload the permissions of a finished file.
func (s *Store) setMode(data string) error {
	if s.fileMode == 0 {
		return nil
	}
	info, err := s.fs.Stat(data)
	if err != nil || info.Mode().Perm() == s.fileMode {
		return err
	}
	return s.fs.Chmod(data, s.fileMode)
}

// makeKeyDir creates a directory of a key, which all can enter who may read the files.
func (s *Store) makeKeyDir(path string) error {
	if err := s.fs.Mkdir(path); err != nil || s.fileMode == 0 {
		return err
	}
	return s.fs.Chmod(path, dirMode(s.fileMode))
}

func dirMode(file fs.FileMode) fs.FileMode { return 0o700 | file | file&0o444>>2 }
