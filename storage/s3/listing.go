package s3

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// traces is what a listing shows of an unfinished upload.
type listing struct {
	record, size, gone, parked bool
	layouts                    []marked
	fragments                  []marked
	claims                     []reservation
	keys                       []string // without those of claims
	touched                    time.Time
	recorded, sized            time.Time // when record and size were stored, by S3's clock
	recordTag                  string    // the ETag of the record
	began                      time.Time // the listing
}

// marked is an object whose name ends with the mark of a creation.
type marked struct {
	ranges.Range // of a fragment
	mark         string
	at           time.Time // when it was stored, by S3's clock
}

// isOf reports whether the object belongs to the creation of which rec is, and not to
// one before it. A mark is lacking where an id is used once, or was not needed once.
func (t *listing) isOf(rec storage.Record, m marked) bool {
	return m.mark == creationMark(rec) || m.mark == "" && !t.isOlder(m.at)
}

// isOlder reports whether what was stored at the given time is older than the record.
func (t *listing) isOlder(at time.Time) bool { return at.Before(t.recorded) }

// pieces are the fragments that belong to the creation of which rec is.
func (t *listing) pieces(rec storage.Record) (all []storage.Extent) {
	for _, m := range t.fragments {
		if t.isOf(rec, m) || !rec.ClientChosenID {
			all = append(all, fragmentPiece(m.Range, m.mark))
		}
	}
	return all
}

// errSlow: a listing took so long that what it does not show may be there.
var errSlow = errors.New("listings take too long to be believed")

// traces lists the objects of an upload. The listing need not show one moment, but must
// not take long: see remover.
func (s *Store) list(ctx context.Context, id string) (listing, error) {
	for range maxLoadAttempts {
		began := s.opts.now()
		t, err := s.listOnce(ctx, id)
		t.began = began
		if err != nil || s.opts.now().Sub(began) <= s.needless.longestListing() {
			return t, err
		}
	}
	return listing{}, storage.Unavailable("list", id, errSlow)
}

func (s *Store) listOnce(ctx context.Context, id string) (t listing, err error) {
	base := s.liveKey(id, "")
	for e, err := range s.client.list(ctx, base) {
		if err != nil {
			return t, err
		}
		t.add(strings.TrimPrefix(e.key, base), e)
	}
	return t, nil
}

func (t *listing) add(name string, e entry) {
	if id, ok := strings.CutPrefix(name, claimPrefix); ok {
		t.claims = append(t.claims, reservation{id, e.key, e.stored})
		return
	}
	t.keys = append(t.keys, e.key)
	if e.stored.After(t.touched) {
		t.touched = e.stored
	}
	words := 1
	if strings.HasPrefix(name, "f/") {
		words = 2
	}
	rest, mark := splitMark(name, words)
	switch rest {
	case "record":
		t.record, t.recorded, t.recordTag = true, e.modified, e.etag
	case "size":
		t.size, t.sized = true, e.modified
	case layoutName:
		t.layouts = append(t.layouts, marked{mark: mark, at: e.modified})
	case "gone":
		t.gone = true
	case "parked":
		t.parked = true
	default:
		if r, ok := parseFragment(rest); ok && e.size == r.Len() {
			t.fragments = append(t.fragments, marked{r, mark, e.modified})
		}
	}
}
