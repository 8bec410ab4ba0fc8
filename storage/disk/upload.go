package disk

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// flushAfter is how long written bytes may wait for a sync while more of the same request
// arrive.
const flushAfter = time.Second

// upload is an unfinished upload that is open for writing: its two files, and its ranges,
// which go from reserved to written to durable.
type upload struct {
	id    string
	store *Store
	data  writableFile
	log   writableFile
	users int // under store.mu

	writing  sync.RWMutex // held for reading while a block is written
	complete bool         // no new bytes are accepted; guarded by writing

	mu       sync.Mutex
	changed  sync.Cond  // signals changes of the fields below
	reserved ranges.Set // being written by a request
	written  ranges.Set // but not durable yet
	unsaved  sums       // of written
	durable  ranges.Set // written, synced, and in the journal
	sums     sums       // of durable
	whole    rangeSum   // see journal
	failed   error      // why writes fail; nil while they do not
	pending  *time.Timer

	commitMu    sync.Mutex // held to sync and to append to the journal
	logEnd      int64
	lines       int  // in the journal
	late        bool // see journal
	copied      bool // see journal; changed with mu held as well
	mustRewrite bool
	record      storage.Record // changed with mu held as well
	watchers    []*watcher
}

// watcher is called with each range that becomes durable.
type watcher struct{ durable func(ranges.Range) }

// acquire opens the upload for writing, or returns the open one that other requests use.
func (s *Store) acquire(id string) (*upload, error) {
	idLock := s.lockID(id)
	idLock.Lock()
	defer idLock.Unlock()
	return s.acquireLocked(id)
}

// acquireLocked is acquire for a caller that holds the id lock.
func (s *Store) acquireLocked(id string) (*upload, error) {
	s.mu.Lock()
	u, ok := s.open[id]
	if ok {
		u.users++
	}
	s.mu.Unlock()
	if ok {
		return u, nil
	}
	u, err := s.openUpload(id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.open[id] = u
	s.mu.Unlock()
	return u, nil
}

func (s *Store) release(u *upload) {
	idLock := s.lockID(u.id)
	idLock.Lock()
	defer idLock.Unlock()
	s.releaseLocked(u)
}

// releaseLocked is release for a caller that holds the id lock.
func (s *Store) releaseLocked(u *upload) {
	s.mu.Lock()
	u.users--
	last := u.users == 0
	s.mu.Unlock()
	if !last {
		return
	}
	if j, err := u.close(); err == nil || j.mustRewrite && !errors.Is(err, storage.ErrGone) {
		s.journals.put(j)
	}
	s.mu.Lock()
	delete(s.open, u.id)
	s.mu.Unlock()
	// Everything that matters was synced: errors of Close can be ignored.
	_ = u.data.Close()
	_ = u.log.Close()
}

func (s *Store) openUpload(id string) (*upload, error) {
	if err := s.syncAgain(s.own("live"), s.own("gone")); err != nil {
		return nil, mapError("open", id, err)
	}
	if gone, err := s.exists(s.gonePath(id)); err != nil {
		return nil, mapError("open", id, err)
	} else if gone {
		return nil, storage.ErrGone
	}
	j, err := s.journalAt(id, s.livePath(id))
	if errors.Is(err, storage.ErrNotFound) {
		return nil, errClosed
	}
	if err != nil {
		return nil, err
	}
	if j.needsCompaction() || j.mustRewrite {
		if j, err = s.rewrite(j); err != nil {
			return nil, mapError("compact the journal of", id, err)
		}
	}
	u := &upload{id: id, store: s, users: 1, record: j.record, logEnd: j.length, lines: j.lines, late: j.late, copied: j.copied, durable: j.ranges, sums: j.sums, whole: j.whole,
		complete: storage.Upload{Record: j.record, Received: j.ranges}.Complete()}
	u.changed.L = &u.mu
	err = u.openFiles()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errClosed
	}
	if err != nil {
		return nil, mapError("open", id, err)
	}
	s.journals.drop(id) // the ranges change from now on
	return u, nil
}

// errClosed means that the upload accepts no bytes because it is finished or does not exist.
// Load returns which.
var errClosed = errors.New("the upload is not open")

func (u *upload) openFiles() (err error) {
	// Create made the data file. If it is missing, creating another would lose
	// acknowledged bytes.
	if u.data, err = u.store.fs.OpenFile(u.store.dataPath(u.id), os.O_RDWR); err != nil {
		return err
	}
	if u.log, err = u.store.fs.OpenFile(u.store.livePath(u.id), os.O_RDWR); err != nil {
		return errors.Join(err, u.data.Close())
	}
	return nil
}

// rewrite replaces a journal by a compacted one. Until that is durable, mustRewrite is set.
func (s *Store) rewrite(j journal) (journal, error) {
	text, err := j.compact()
	if err != nil {
		return j, err
	}
	j.mustRewrite = true
	s.journals.put(j)
	path := s.livePath(j.record.ID)
	if err := s.writeFile(path+".new", text); err != nil {
		return j, err
	}
	if err := s.fs.Rename(path+".new", path); err != nil {
		return j, err
	}
	if err := s.syncDir(s.own("live")); err != nil {
		return j, err
	}
	j.length, j.lines, j.mustRewrite = int64(len(text)), bytes.Count(text, []byte("\n")), false
	s.journals.put(j)
	return j, nil
}

// stopWriting waits for writes to a complete upload in progress, and rejects later ones: the
// data file is about to become the final file.
func (s *Store) stopWriting(id string) {
	s.mu.Lock()
	u, ok := s.open[id]
	s.mu.Unlock()
	if ok {
		u.writing.Lock()
		u.complete = true
		u.writing.Unlock()
	}
}

// close prevents delayed flushes after the files were closed, or opened again by a later
// request. It returns the journal, and the error that had ended writing before, if any.
func (u *upload) close() (journal, error) {
	u.commitMu.Lock() // wait for a commit in progress
	defer u.commitMu.Unlock()
	err := u.failure()
	u.fail(storage.ErrUnavailable)
	return journal{record: u.record, ranges: u.durable, sums: u.sums, whole: u.whole, lines: u.lines, length: u.logEnd, late: u.late, copied: u.copied, mustRewrite: u.mustRewrite}, err
}

// journal returns the durable contents of the journal.
func (u *upload) journal() journal {
	u.mu.Lock()
	defer u.mu.Unlock()
	return journal{record: u.record, ranges: u.durable.Clone(), sums: u.sums, whole: u.whole, late: u.late, copied: u.copied}
}

// fail makes all writes to the upload return err.
func (u *upload) fail(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.failed == nil || err == storage.ErrGone {
		u.failed = err
	}
	u.changed.Broadcast()
}

func (u *upload) failure() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.failed
}
