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

// A retired upload is Finished whether its file is there or not: the app may move it. Its
// journal says so, with when the last byte came and when the event was delivered:
//
//	done 1772368215123456789 1772368216000000000 4d5e6f70
//
// A name that an app has made free may be given to the file of another upload, which the
// journal of the first must not take for its own. So there is, besides,
//
//	DIR/.holdfast/names/SHA-256 the id of the upload to whose file a key was last given
//	DIR/.holdfast/done/ID.moved the mark of an upload whose file has lost its name

func doneLine(finished, delivered time.Time) []byte {
	return withChecksum(fmt.Appendf(nil, "done %d %d", finished.UnixNano(), delivered.UnixNano()))
}

// parseDone reads what doneLine has written.
func (j *journal) parseDone(value []byte) {
	var finished, delivered int64
	if n, err := fmt.Sscanf(string(value), "%d %d", &finished, &delivered); n == 2 && err == nil {
		j.finished, j.delivered = time.Unix(0, finished), time.Unix(0, delivered)
	}
}

// noteDelivered writes into the journal of a finished upload that its event was delivered.
// If a power loss takes that away, the event is delivered again.
func (s *Store) noteDelivered(id string) error {
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

// takeName is called before the file of rec gets its name. If the file of a retired
// upload had that before, and was moved, the upload is marked.
func (s *Store) takeName(rec storage.Record) error {
	if !hasCustomKey(rec) {
		return nil
	}
	last, err := s.lastNamed(rec)
	if err != nil {
		return err
	}
	if there, err := s.exists(s.filePath(rec)); err != nil || there {
		return err // it is its own already, or the name is taken
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

// lastNamed is the id of the upload to whose file the key of rec was last given, if known.
func (s *Store) lastNamed(rec storage.Record) (string, error) {
	text, err := s.readFile(s.namePath(rec))
	if absent(err) {
		return "", nil
	}
	return string(text), err
}

// markMoved marks an upload that is retired, and whose file had the name of that of rec.
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

// writeMoved marks an upload whose file has lost its name, for good.
func (s *Store) writeMoved(id string) error {
	return errors.Join(s.writeFile(s.movedPath(id), nil), s.syncDir(s.own("done")))
}

// leaveName removes what is known of the name of an upload's file.
func (s *Store) leaveName(rec storage.Record) error {
	var err error
	if rec.Key != "" {
		var last string
		if last, err = s.lastNamed(rec); last == rec.ID {
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
		if err == nil && isLog && s.older(s.donePath(id), before) {
			err = s.forgetFinished(id, before)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// forgetFinished forgets an upload that was retired before the given time if its file is
// missing.
func (s *Store) forgetFinished(id string, before time.Time) error {
	guard := s.lockID(id)
	guard.Lock()
	defer guard.Unlock()
	up, err := s.load(id)
	switch {
	case errors.Is(err, storage.ErrGone), errors.Is(err, storage.ErrNotFound):
		return nil
	case err != nil || !up.FileMissing || !up.Delivered.Before(before):
		return err
	}
	s.journals.drop(id)
	// If the journal came back, it would be in the way of the next upload of the id.
	return errors.Join(s.leaveName(up.Record), s.removeAll(s.donePath(id)), s.syncDir(s.own("done")))
}
