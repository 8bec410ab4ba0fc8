package disk

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// forgetAtOnce is how many deleted uploads are forgotten after one sync of the directories
// that they were in.
const forgetAtOnce = 1000

// Clean implements storage.Cleaner.
func (s *Store) Clean(_ context.Context, before time.Time) error {
	var errs []error
	var old []string
	for name, err := range s.fs.Names(s.own("gone")) {
		if err == nil && s.older(s.own("gone", name), before) {
			if old = append(old, name); len(old) == forgetAtOnce {
				err, old = s.forget(old), nil
			}
		}
		errs = append(errs, err)
	}
	errs = append(errs, s.forget(old))
	for name, err := range s.fs.Names(s.own("live")) {
		if err == nil {
			err = s.removeOrphan(name, before)
		}
		errs = append(errs, err)
	}
	for name, err := range s.fs.Names(s.own()) {
		if err == nil && strings.HasPrefix(name, "probe") && s.older(s.own(name), before) {
			err = s.removeAll(s.own(name))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// forget removes the marks of deleted uploads, after whatever the deletions left: nothing
// of that may come back once a mark is gone.
func (s *Store) forget(ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	var errs []error
	var clean []string
	for _, id := range ids {
		removed, err := s.removeRest(id)
		if removed {
			clean = append(clean, id)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(s.syncDir(s.own("live")), s.syncDir(s.own("done"))); err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, id := range clean {
		errs = append(errs, s.removeMark(id))
	}
	return errors.Join(errs...)
}

// removeRest removes what a deletion that broke off has left of an upload, unless the event
// of its finish is still to be delivered, and reports whether it has.
func (s *Store) removeRest(id string) (removed bool, err error) {
	guard := s.lockID(id)
	guard.Lock()
	defer guard.Unlock()
	up, err := s.load(id)
	switch {
	case err != nil && !errors.Is(err, storage.ErrGone):
		return false, err
	case up.DeliveryPending && !up.DeadLettered:
		return false, nil
	}
	err = s.removeUpload(id, false)
	return err == nil, err
}

// removeMark removes the mark of a deleted upload for good: if it came back, it would
// take the next upload of the id with it.
func (s *Store) removeMark(id string) error {
	guard := s.lockID(id)
	guard.Lock()
	defer guard.Unlock()
	return errors.Join(s.removeAll(s.gonePath(id)), s.syncDir(s.own("gone")))
}

// removeOrphan removes a data file or a mark without a journal, left by a creation or
// a retirement that broke off, or a journal that was to replace another.
func (s *Store) removeOrphan(name string, before time.Time) error {
	id, suffix := ownerOf(name)
	if suffix == "" {
		return nil
	}
	guard := s.lockID(id)
	guard.Lock()
	defer guard.Unlock()
	path := s.own("live", name)
	owned, err := s.exists(s.livePath(id))
	if err != nil || !s.older(path, before) || owned && suffix != ".log.new" {
		return err
	}
	return s.removeAll(path)
}

// ownerOf splits the name of a file that may be an orphan into the id of the upload that
// it is for, which may end like a file's name itself, and the suffix that tells what it
// is. That is "" for any other file.
func ownerOf(name string) (id, suffix string) {
	for _, suffix := range []string{".data", ".parked", ".log.new"} {
		if id, ok := strings.CutSuffix(name, suffix); ok {
			return id, suffix
		}
	}
	return "", ""
}

func (s *Store) older(path string, than time.Time) bool {
	info, err := s.fs.Lstat(path)
	return err == nil && info.ModTime().Before(than)
}
