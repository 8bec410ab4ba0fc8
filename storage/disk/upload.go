package disk

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// settleAfter is how long bytes that have arrived may wait for the next sync
// while the write that brought them goes on.
const settleAfter = time.Second

// upload is an unfinished upload that is being written to: its two files and the
// state of its bytes, which go from claimed to settled to durable.
type upload struct {
	id    string
	store *Store
	data  writableFile
	log   writableFile
	users int // under store.mu

	writing  sync.RWMutex // held for reading while a block is written
	complete bool         // no new bytes are written; guarded by writing

	mu      sync.Mutex
	changed sync.Cond  // something of what follows did
	claimed ranges.Set // written, or being written by somebody
	settled ranges.Set // written
	durable ranges.Set // written, synced, and in the journal
	failed  error      // why no more can be written, once it can't
	pending *time.Timer

	commitMu sync.Mutex // held by whoever syncs and appends to the journal
	logEnd   int64
	record   storage.Record
	watchers []*watcher
}

// watcher is told what became durable.
type watcher struct{ durable func(ranges.Range) }

// acquire opens the upload for writing, once for all who write to it.
func (s *Store) acquire(id string) (*upload, error) {
	guard := s.guard(id)
	guard.Lock()
	defer guard.Unlock()
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
	s.mu.Lock()
	u.users--
	last := u.users == 0
	if last {
		delete(s.open, u.id)
		u.close()
	}
	s.mu.Unlock()
	if last {
		// Closing can report nothing that the syncs before it have not.
		_ = u.data.Close()
		_ = u.log.Close()
	}
}

func (s *Store) openUpload(id string) (*upload, error) {
	if gone, err := s.exists(s.gonePath(id)); err != nil || gone {
		return nil, errors.Join(classify("open", id, err), ifTrue(gone, storage.ErrGone))
	}
	text, err := s.readFile(s.livePath(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errClosed
	}
	if err != nil {
		return nil, classify("open", id, err)
	}
	j, created := parseJournal(text)
	if !created {
		return nil, errClosed
	}
	if j.wordy() {
		if j, err = s.rewrite(j); err != nil {
			return nil, classify("compact the journal of", id, err)
		}
	}
	whole := storage.Upload{Record: j.record, Received: j.ranges}.Complete()
	u := &upload{id: id, store: s, users: 1, record: j.record, logEnd: j.length, complete: whole,
		claimed: j.ranges.Clone(), settled: j.ranges.Clone(), durable: j.ranges}
	u.changed.L = &u.mu
	err = u.openFiles()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errClosed
	}
	return u, classify("open", id, err)
}

// errClosed: the upload takes no bytes, because it is finished or because there
// is none. Load tells which.
var errClosed = errors.New("the upload is not open")

func (u *upload) openFiles() (err error) {
	// The data file was made when the upload was created. If it is missing, to
	// make another would be to forget what was acknowledged.
	if u.data, err = u.store.fs.OpenFile(u.store.dataPath(u.id), os.O_RDWR); err != nil {
		return err
	}
	if u.log, err = u.store.fs.OpenFile(u.store.livePath(u.id), os.O_RDWR); err != nil {
		return errors.Join(err, u.data.Close())
	}
	return nil
}

// rewrite replaces a journal by a short one that says the same.
func (s *Store) rewrite(j journal) (journal, error) {
	text, err := j.compact()
	if err != nil {
		return j, err
	}
	path := s.livePath(j.record.ID)
	if err := s.writeFile(path+".new", text); err != nil {
		return j, err
	}
	if err := s.fs.Rename(path+".new", path); err != nil {
		return j, err
	}
	j.length = int64(len(text))
	return j, s.syncDir(s.own("live"))
}

// stopWriting returns once no byte is being written to an upload that is complete, nor
// will be: the data file is to become the upload's file.
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

// close keeps what was put off from being done after the upload's files are closed
// or, worse, opened again by somebody else.
func (u *upload) close() {
	u.commitMu.Lock() // a commit that is under way ends first
	defer u.commitMu.Unlock()
	u.fail(storage.ErrUnavailable)
}

// fail makes all writing to the upload end with err.
func (u *upload) fail(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.failed == nil {
		u.failed = err
	}
	u.changed.Broadcast()
}

func (u *upload) failure() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.failed
}
