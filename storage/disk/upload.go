package disk

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// settleAfter is how long bytes that have arrived may wait for the next sync
// while the write that brought them goes on.
const settleAfter = time.Second

// upload is an unfinished upload that is being written to: its two files and the
// state of its bytes, which go from reserved to written to durable.
type upload struct {
	id    string
	store *Store
	data  writableFile
	log   writableFile
	users int // under store.mu

	writing  sync.RWMutex // held for reading while a block is written
	complete bool         // no new bytes are written; guarded by writing

	mu       sync.Mutex
	changed  sync.Cond  // something of what follows did
	reserved ranges.Set // being written by somebody
	written  ranges.Set // and not durable yet
	unsaved  sums       // of what is written
	durable  ranges.Set // written, synced, and in the journal
	sums     sums       // of what is durable
	whole    rangeSum   // see journal
	failed   error      // why no more can be written, once it can't
	pending  *time.Timer

	commitMu sync.Mutex // held by whoever syncs and appends to the journal
	logEnd   int64
	lines    int  // in the journal
	late     bool // see journal, as for what follows
	doubtful bool
	record   storage.Record // to change it takes mu as well
	watchers []*watcher
}

// watcher is told what became durable.
type watcher struct{ durable func(ranges.Range) }

// acquire opens the upload for writing, once for all who write to it.
func (s *Store) acquire(id string) (*upload, error) {
	guard := s.lockID(id)
	guard.Lock()
	defer guard.Unlock()
	return s.acquireGuarded(id)
}

// acquireGuarded is acquire for a caller who holds the guard of the upload.
func (s *Store) acquireGuarded(id string) (*upload, error) {
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
	guard := s.lockID(u.id)
	guard.Lock()
	defer guard.Unlock()
	s.releaseGuarded(u)
}

// releaseGuarded is release for a caller who holds the guard of the upload.
func (s *Store) releaseGuarded(u *upload) {
	s.mu.Lock()
	u.users--
	last := u.users == 0
	s.mu.Unlock()
	if !last {
		return
	}
	if j, err := u.close(); err == nil || j.doubtful && !errors.Is(err, storage.ErrGone) {
		s.journals.put(j)
	}
	s.mu.Lock()
	delete(s.open, u.id)
	s.mu.Unlock()
	// Closing can report nothing that the syncs before it have not.
	_ = u.data.Close()
	_ = u.log.Close()
}

func (s *Store) openUpload(id string) (*upload, error) {
	if err := s.syncAgain(s.own("live"), s.own("gone")); err != nil {
		return nil, mapError("open", id, err)
	}
	if gone, err := s.exists(s.gonePath(id)); err != nil || gone {
		return nil, errors.Join(mapError("open", id, err), ifTrue(gone, storage.ErrGone))
	}
	j, err := s.journalAt(id, s.livePath(id))
	if errors.Is(err, storage.ErrNotFound) {
		return nil, errClosed
	}
	if err != nil {
		return nil, err
	}
	if j.needsCompaction() || j.doubtful {
		if j, err = s.rewrite(j); err != nil {
			return nil, mapError("compact the journal of", id, err)
		}
	}
	u := &upload{id: id, store: s, users: 1, record: j.record, logEnd: j.length, lines: j.lines, late: j.late, durable: j.ranges, sums: j.sums, whole: j.whole,
		complete: storage.Upload{Record: j.record, Received: j.ranges}.Complete()}
	u.changed.L = &u.mu
	err = u.openFiles()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errClosed
	}
	if err != nil {
		return nil, mapError("open", id, err)
	}
	s.journals.drop(id) // from now on the ranges change
	return u, nil
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

// rewrite replaces a journal by a short one that says the same. It is doubtful until that
// is on the disk.
func (s *Store) rewrite(j journal) (journal, error) {
	text, err := j.compact()
	if err != nil {
		return j, err
	}
	j.doubtful = true
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
	j.length, j.lines, j.doubtful = int64(len(text)), bytes.Count(text, []byte("\n")), false
	s.journals.put(j)
	return j, nil
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
// or, worse, opened again by somebody else. It returns what the journal says, and why
// nothing could be written any more before, if so.
func (u *upload) close() (journal, error) {
	u.commitMu.Lock() // a commit that is under way ends first
	defer u.commitMu.Unlock()
	err := u.failure()
	u.fail(storage.ErrUnavailable)
	return journal{record: u.record, ranges: u.durable, sums: u.sums, whole: u.whole, lines: u.lines, length: u.logEnd, late: u.late, doubtful: u.doubtful}, err
}

// journal is what the journal says for good.
func (u *upload) journal() journal {
	u.mu.Lock()
	defer u.mu.Unlock()
	return journal{record: u.record, ranges: u.durable.Clone(), sums: slices.Clone(u.sums), whole: u.whole, late: u.late}
}

// fail makes all writing to the upload end with err.
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
