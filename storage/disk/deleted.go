package disk

import (
	"errors"

	"github.com/holdfast-upload/holdfast/storage"
)

// pendingMark is the content of the tombstone of an upload that was deleted while its
// delivery was pending. The journal stays in live/ until it is delivered.
const pendingMark = "pending\n"

// loadDeleted returns ErrGone, along with the upload if it was deleted while its delivery
// was pending.
func (s *Store) loadDeleted(id string) (storage.Upload, error) {
	mark, err := s.readFile(s.gonePath(id))
	if err != nil {
		return storage.Upload{}, mapError("load", id, err)
	}
	if string(mark) != pendingMark {
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
	if up.DeadLettered, err = s.exists(s.deadLetterPath(id)); err != nil {
		return storage.Upload{}, mapError("load", id, err)
	}
	return up, storage.ErrGone
}

// writeTombstone marks an upload as deleted, if it is not yet, and reports whether its
// delivery is pending.
func (s *Store) writeTombstone(id string) (pending bool, err error) {
	up, err := s.load(id)
	if err != nil && !errors.Is(err, storage.ErrGone) && !errors.Is(err, storage.ErrNotFound) {
		return false, err
	}
	pending = up.DeliveryPending && !up.DeadLettered && !up.Partial
	marked, err := s.exists(s.gonePath(id))
	if err != nil || marked {
		return pending, err
	}
	var mark []byte
	if pending {
		mark = []byte(pendingMark)
	}
	return pending, errors.Join(s.writeFile(s.gonePath(id), mark), s.syncDir(s.own("gone")))
}
