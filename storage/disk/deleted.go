package disk

import (
	"errors"

	"github.com/holdfast-upload/holdfast/storage"
)

// owedMark is what the mark of a deleted upload says while the event of its finish is to
// be delivered. Its journal stays among the live ones until that is done.
const owedMark = "owed\n"

// loadDeleted returns ErrGone, and the upload if it was deleted while it was owed.
func (s *Store) loadDeleted(id string) (storage.Upload, error) {
	mark, err := s.readFile(s.gonePath(id))
	if err != nil {
		return storage.Upload{}, mapError("load", id, err)
	}
	if string(mark) != owedMark {
		return storage.Upload{}, storage.ErrGone
	}
	up, live, err := s.readJournal(id)
	if errors.Is(err, storage.ErrNotFound) || err == nil && !live {
		return storage.Upload{}, storage.ErrGone
	}
	if err != nil {
		return storage.Upload{}, err
	}
	up.Finished, up.DeliveryPending, up.Deleted = true, true, true
	if up.DeadLettered, err = s.exists(s.parkedPath(id)); err != nil {
		return storage.Upload{}, mapError("load", id, err)
	}
	return up, storage.ErrGone
}

// markGone writes the mark that an upload is deleted, unless it is there, and reports
// whether the event of its finish has still to be delivered.
func (s *Store) markGone(id string) (owed bool, err error) {
	up, err := s.load(id)
	if err != nil && !errors.Is(err, storage.ErrGone) && !errors.Is(err, storage.ErrNotFound) {
		return false, err
	}
	owed = up.DeliveryPending && !up.DeadLettered && !up.Partial
	marked, err := s.exists(s.gonePath(id))
	if err != nil || marked {
		return owed, err
	}
	var mark []byte
	if owed {
		mark = []byte(owedMark)
	}
	return owed, errors.Join(s.writeFile(s.gonePath(id), mark), s.syncDir(s.own("gone")))
}
