package s3

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// traces is what a listing shows of an unfinished upload.
type traces struct {
	record, size, layout, gone, parked bool
	fragments                          []ranges.Range
	claims                             []claim
	keys                               []string // without those of claims
	touched                            time.Time
}

// errSlow: a listing took so long that what it does not show may be there.
var errSlow = errors.New("listings take too long to be believed")

// traces lists the objects of an upload. The listing need not show one moment, but must
// not take long: see remover.
func (s *Store) traces(ctx context.Context, id string) (traces, error) {
	for range looks {
		began := s.opts.now()
		t, err := s.listOnce(ctx, id)
		if err != nil || s.opts.now().Sub(began) <= s.needless.longestListing() {
			return t, err
		}
	}
	return traces{}, storage.Unavailable("list", id, errSlow)
}

func (s *Store) listOnce(ctx context.Context, id string) (t traces, err error) {
	base := s.liveKey(id, "")
	for e, err := range s.client.list(ctx, base) {
		if err != nil {
			return t, err
		}
		t.add(strings.TrimPrefix(e.key, base), e)
	}
	return t, nil
}

func (t *traces) add(name string, e entry) {
	if id, ok := strings.CutPrefix(name, claimPrefix); ok {
		t.claims = append(t.claims, claim{id, e.key, e.modified})
		return
	}
	t.keys = append(t.keys, e.key)
	if e.modified.After(t.touched) {
		t.touched = e.modified
	}
	switch name {
	case "record":
		t.record = true
	case "size":
		t.size = true
	case "layout":
		t.layout = true
	case "gone":
		t.gone = true
	case "parked":
		t.parked = true
	default:
		if r, ok := parseFragment(name); ok && e.size == r.Len() {
			t.fragments = append(t.fragments, r)
		}
	}
}

// looks is how often Load begins again when what it has just found is removed
// before it is read.
const looks = 5

// Load implements storage.Store. It takes four requests for a live upload of a thousand
// objects or fewer: the listing, the layout, the look for the file, and the parts.
func (s *Store) Load(ctx context.Context, id string) (storage.Upload, error) {
	for range looks {
		up, err := s.look(ctx, id)
		if !errors.Is(err, errMissing) {
			return up, err
		}
	}
	return storage.Upload{}, storage.Unavailable("load", id, errMissing)
}

// look is Load, and errMissing if something vanished on the way.
func (s *Store) look(ctx context.Context, id string) (storage.Upload, error) {
	t, err := s.traces(ctx, id)
	switch {
	case err != nil:
		return storage.Upload{}, err
	case t.gone:
		return s.loadGone(ctx, id, t)
	case !t.record, s.retired.has(id):
		return s.loadOver(ctx, id, t)
	}
	up, l, err := s.loadRecord(ctx, id, t)
	if err == nil {
		up, err = s.withFile(ctx, up)
	}
	if err == nil && (up.Finished || !t.layout) { // or else its parts tell that it is live
		up, err = s.withDone(ctx, up)
	}
	if err == nil && !up.Finished {
		up, err = s.withPieces(ctx, up, t, l)
	}
	up.Parked = up.Owed && t.parked
	return up, err
}

// withPieces adds what has been stored of an upload that is not finished.
func (s *Store) withPieces(ctx context.Context, up storage.Upload, t traces, l layout) (storage.Upload, error) {
	for _, r := range longest(t.fragments) {
		up.Add(fragmentPiece(r))
	}
	var err error
	if t.layout {
		up, err = s.withParts(ctx, up, l)
	}
	if err == nil && !up.Finished {
		s.removeCovered(up, t)
	}
	return up, err
}

// longest are the fragments that do not lie in another one.
func longest(fragments []ranges.Range) []ranges.Range {
	slices.SortFunc(fragments, func(a, b ranges.Range) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End))
	})
	var out []ranges.Range
	for _, r := range fragments {
		if len(out) == 0 || r.End > out[len(out)-1].End {
			out = append(out, r)
		}
	}
	return out
}

// removeCovered has those fragments removed later that longer ones, or parts, have made
// needless, and which a process that has ended may not have removed.
func (s *Store) removeCovered(up storage.Upload, t traces) {
	var covered []string
	for _, r := range t.fragments {
		if _, needed := up.Pieces[fragmentPiece(r).Name]; !needed {
			covered = append(covered, s.fragmentKey(up.ID, r))
		}
	}
	s.needless.add(up.ID, covered...)
}

// loadRecord reads the record, and the layout if there is one.
func (s *Store) loadRecord(ctx context.Context, id string, t traces) (up storage.Upload, l layout, err error) {
	up.Touched, up.Pieces = t.touched, map[string]storage.Piece{}
	if t.layout {
		var d decision
		d, err = s.loadLayout(ctx, id)
		up.Record, l = d.Record, d.layout
	} else {
		err = s.loadJSON(ctx, s.liveKey(id, "record"), &up.Record)
	}
	if err == nil && t.size {
		up.Size, err = s.loadSize(ctx, id)
	}
	return up, l, err
}

func (s *Store) loadJSON(ctx context.Context, key string, to any) error {
	text, err := s.client.get(ctx, key)
	if err != nil {
		return err
	}
	return storage.Unavailable("read", key, json.Unmarshal(text, to))
}

func (s *Store) loadLayout(ctx context.Context, id string) (d decision, err error) {
	return d, s.loadJSON(ctx, s.liveKey(id, "layout"), &d)
}

func (s *Store) loadSize(ctx context.Context, id string) (int64, error) {
	text, err := s.client.get(ctx, s.liveKey(id, "size"))
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	return n, storage.Unavailable("read the size of", id, err)
}

// withFile returns the upload as finished if its file is there with its size, and
// otherwise as it is.
func (s *Store) withFile(ctx context.Context, up storage.Upload) (storage.Upload, error) {
	h, err := s.client.head(ctx, s.fileKey(up.Record))
	if err != nil && !errors.Is(err, errMissing) {
		return storage.Upload{}, err
	}
	switch id, created := identity(h.metadata[recordName]); {
	case id != up.ID: // there is none, or it is another upload's
		return up, nil
	case created != createdAt(up.Record):
		up, err = s.twiceCreated(ctx, up, h)
	case up.Size != storage.Unknown && up.Size != h.size:
		return up, nil
	default:
		up = finished(up, h)
	}
	s.seen(up.ID)
	up.Owed = err == nil // as long as there is a record
	return up, err
}

// twiceCreated is the upload of a file that another creation of the same id has led
// to than the record that is there: one that was held up until the upload had come and
// gone, or one at the same time, on an S3 that let both write. A record means nothing
// beside a whole file. That the app has heard of it is not certain.
func (s *Store) twiceCreated(ctx context.Context, up storage.Upload, h header) (storage.Upload, error) {
	of, err := s.fromFile(ctx, up.ID, h)
	if errors.Is(err, errMissing) { // the file's own record was never written down
		return finished(up, h), nil
	}
	return of, err
}

// withParts adds what the multipart upload has.
func (s *Store) withParts(ctx context.Context, up storage.Upload, l layout) (storage.Upload, error) {
	up.Add(l.piece())
	for p, err := range s.client.parts(ctx, s.fileKey(up.Record), l.UploadID) {
		if errors.Is(err, errAnew) && !l.Summed {
			continue
		}
		if errors.Is(err, errAnew) || errors.Is(err, errNoUpload) || errors.Is(err, errMissing) {
			return s.withoutParts(ctx, up)
		}
		if err != nil {
			return storage.Upload{}, err
		}
		if piece, ok := l.partPiece(p, up.Size); ok {
			up.Add(piece)
		}
		if p.modified.After(up.Touched) {
			up.Touched = p.modified
		}
	}
	s.seen(up.ID)
	return up, nil
}

// withoutParts finds out what has become of an upload whose parts are not there.
func (s *Store) withoutParts(ctx context.Context, up storage.Upload) (storage.Upload, error) {
	up, err := s.withFile(ctx, up) // it may have become the file just now
	if err == nil {
		up, err = s.withDone(ctx, up)
	}
	if err == nil && !up.Finished {
		err = s.lost(up.ID)
	}
	return up, err
}

// errLost: S3 shows neither all parts of an upload nor its file.
var errLost = errors.New("S3 has neither its parts nor its file")

// lost says what it means that S3 shows neither the parts nor the file. Some S3s
// do so for as long as they make the one out of the other, and to call that gone
// would have the file removed which comes next. So only what stays that way is.
func (s *Store) lost(id string) error {
	since := s.missingSince(id)
	if time.Since(since) < s.opts.lostAfter {
		return storage.Unavailable("load", id, errLost)
	}
	return fmt.Errorf("load %s: %w: %w since %s", id, storage.ErrGone, errLost, since.Format(time.RFC3339))
}

// missingSince returns when this process has first found what is missing now.
func (s *Store) missingSince(what string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	since, known := s.missing[what]
	if !known {
		since = time.Now()
		s.missing[what] = since
	}
	return since
}

// seen notes that an upload is not lost.
func (s *Store) seen(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.missing, id)
}

// loadOver finds an upload without a record: a finished one, or none. Fragments beside
// a finished one came late, from a write that did not know, and are removed.
func (s *Store) loadOver(ctx context.Context, id string, t traces) (storage.Upload, error) {
	up, err := s.loadFile(ctx, id)
	if err == nil && !s.retired.has(id) { // or else they are about to be removed
		var late []string
		for _, r := range t.fragments {
			late = append(late, s.fragmentKey(id, r))
		}
		_ = s.client.remove(ctx, late...) // or else the next Load does
	}
	return up, err
}

// loadFile finds an upload that has nothing but its file.
func (s *Store) loadFile(ctx context.Context, id string) (storage.Upload, error) {
	h, err := s.client.head(ctx, s.fileKey(storage.Record{ID: id}))
	if err != nil && !errors.Is(err, errMissing) {
		return storage.Upload{}, err
	}
	if of, _ := identity(h.metadata[recordName]); of == id {
		return s.fromFile(ctx, id, h)
	}
	return s.fromDone(ctx, id)
}

// fromFile is the upload that a file tells of.
func (s *Store) fromFile(ctx context.Context, id string, h header) (up storage.Upload, err error) {
	if kept := h.metadata[recordName]; strings.HasPrefix(kept, elsewhere) {
		err = s.loadJSON(ctx, s.doneKey(id), &up.Record)
	} else {
		up.Record, err = recordOf(kept)
		err = storage.Unavailable("read the record of", id, err)
	}
	return finished(up, h), err
}

func finished(up storage.Upload, h header) storage.Upload {
	up.Finished, up.Size, up.Touched = true, h.size, h.modified
	up.Received, up.Pieces = ranges.NewSet(ranges.Range{End: h.size}), nil
	return up
}
