package disk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// A delivered upload is Finished even if the application has moved its file. A last line in
// its journal records when the last byte arrived and when the event was delivered, in
// nanoseconds since 1970:
//
//	done 1772368215123456789 1772368216000000000 4d5e6f70
//
// When the application has moved a file, another upload may get its name. The journal of the
// first upload must not take that file for its own, so two more files record this:
//
//	DIR/.holdfast/names/SHA-256 the id of the upload that last got a key for its file
//	DIR/.holdfast/done/ID.moved marks an upload whose file has lost its name

func doneLine(finished, delivered time.Time) []byte {
	return withChecksum(fmt.Appendf(nil, "done %d %d", finished.UnixNano(), delivered.UnixNano()))
}

// parseDone parses the value of a done line.
func (j *journal) parseDone(value []byte) {
	var finished, delivered int64
	if n, err := fmt.Sscanf(string(value), "%d %d", &finished, &delivered); n == 2 && err == nil {
		j.finished, j.delivered = time.Unix(0, finished), time.Unix(0, delivered)
	}
}

// appendDone adds the done line to the journal of a finished upload. If a power loss reverts
// that, the event is delivered again.
func (s *Store) appendDone(id string) error {
	path := s.livePath(id)
	j, err := s.parseFile(id, path)
	if errors.Is(err, storage.ErrNotFound) || err == nil && !j.delivered.IsZero() {
		return nil
	}
	if err != nil {
		return err
	}
	info, err := s.fs.Stat(path)
	if err != nil {
		return err
	}
	f, err := s.fs.OpenFile(path, os.O_WRONLY)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(doneLine(info.ModTime(), time.Now()), j.length)
	return errors.Join(err, f.Close())
}

func (s *Store) movedPath(id string) string { return s.own("done", id+".moved") }

func (s *Store) namePath(rec storage.Record) string {
	sum := sha256.Sum256([]byte(s.filePath(rec)))
	return s.own("names", hex.EncodeToString(sum[:]))
}

// recordName is called before the file of rec gets its final name, and records that it has
// it. A delivered upload that had the name before, and whose file was moved, is marked.
func (s *Store) recordName(rec storage.Record) error {
	if !hasCustomKey(rec) {
		return nil
	}
	last, err := s.lastNamedID(rec)
	if err != nil {
		return err
	}
	if exists, err := s.exists(s.filePath(rec)); err != nil || exists {
		return err // it is the upload's own already, or the key is taken
	}
	for _, id := range []string{last, rec.Key} {
		if err := s.markMoved(id, rec); err != nil {
			return err
		}
	}
	switch {
	case rec.Key != "" && last != rec.ID:
		err = errors.Join(s.writeFile(s.namePath(rec), []byte(rec.ID)), s.syncDir(s.own("names")))
	case rec.Key == "" && last != "":
		err = s.removeAll(s.namePath(rec))
	}
	return errors.Join(err, s.removeAll(s.movedPath(rec.ID)))
}

// lastNamedID returns the id of the upload that last got the key of rec, "" if unknown.
func (s *Store) lastNamedID(rec storage.Record) (string, error) {
	text, err := s.readFile(s.namePath(rec))
	if absent(err) {
		return "", nil
	}
	return string(text), err
}

// markMoved marks the upload id if it is delivered and its file had the same name as that of
// rec.
func (s *Store) markMoved(id string, rec storage.Record) error {
	if id == rec.ID || storage.CheckID(id) != nil {
		return nil
	}
	j, err := s.parseFile(id, s.donePath(id))
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil || s.filePath(j.record) != s.filePath(rec) {
		return err
	}
	return s.writeMoved(id)
}

// writeMoved marks an upload durably as having lost the name of its file.
func (s *Store) writeMoved(id string) error {
	return errors.Join(s.writeFile(s.movedPath(id), nil), s.syncDir(s.own("done")))
}

// removeName removes the records about the name of an upload's file.
func (s *Store) removeName(rec storage.Record) error {
	var err error
	if rec.Key != "" {
		var last string
		if last, err = s.lastNamedID(rec); last == rec.ID {
			err = s.removeAll(s.namePath(rec))
		}
	}
	return errors.Join(err, s.removeAll(s.movedPath(rec.ID)))
}

// CleanFinished implements storage.Cleaner.
func (s *Store) CleanFinished(ctx context.Context, before time.Time) error {
	var errs []error
	for name, err := range s.fs.Names(s.own("done")) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		id, isLog := strings.CutSuffix(name, ".log")
		if err == nil && isLog && s.olderThan(s.donePath(id), before) {
			err = s.purgeFinished(id, before)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// purgeFinished removes the journal of an upload that was delivered before the given time
// and whose file is missing.
func (s *Store) purgeFinished(id string, before time.Time) error {
	idLock := s.lockID(id)
	idLock.Lock()
	defer idLock.Unlock()
	up, err := s.load(id)
	switch {
	case errors.Is(err, storage.ErrGone), errors.Is(err, storage.ErrNotFound):
		return nil
	case err != nil || !up.FileMissing || !up.Delivered.Before(before):
		return err
	}
	s.journals.drop(id)
	// If the journal reappeared, it would block the next upload with the id.
	return errors.Join(s.removeName(up.Record), s.removeAll(s.donePath(id)), s.syncDir(s.own("done")))
}
