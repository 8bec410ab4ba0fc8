package s3

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

// listing holds the objects of an unfinished upload, as S3 lists them.
type listing struct {
	record, size, gone, deadLettered bool

	layouts         []marked
	fragments       []marked
	claims          []reservation
	keys            []string  // without those of reservations
	touched         time.Time // of the latest of keys, by this process's clock
	recorded, sized time.Time // when record and size were stored, by S3's clock
	recordTag       string    // the ETag of the record
	began           time.Time // when the listing began
}

// marked is an object whose name may end with a creation mark.
type marked struct {
	ranges.Range // of a fragment
	mark         string
	at           time.Time // when it was stored, by S3's clock
}

// isOf reports whether the object belongs to the same creation as rec, and not to an
// earlier one. Objects of ids that are used once, and of old versions, have no mark.
func (t *listing) isOf(rec storage.Record, m marked) bool {
	return m.mark == layout.CreationMark(rec) || m.mark == "" && !t.isOlder(m.at)
}

// isOlder reports whether an object stored at the given time is older than the record.
func (t *listing) isOlder(at time.Time) bool { return at.Before(t.recorded) }

// fragmentsOf returns the fragments that belong to the same creation as rec.
func (t *listing) fragmentsOf(rec storage.Record) (all []storage.Extent) {
	for _, m := range t.fragments {
		if t.isOf(rec, m) || !rec.ClientChosenID {
			all = append(all, layout.NewFragment(m.Range, m.mark))
		}
	}
	return all
}

// errSlow means that a listing took so long that objects which it lacks may exist.
var errSlow = errors.New("listings are too slow to be consistent")

// list lists the objects of an upload. The listing need not be a snapshot, but must not
// take longer than longestListing: see remover.
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
	for e, err := range s.client.List(ctx, base) {
		if err != nil {
			return t, err
		}
		t.add(strings.TrimPrefix(e.Key, base), e)
	}
	return t, nil
}

func (t *listing) add(name string, e api.Entry) {
	if id, ok := strings.CutPrefix(name, claimPrefix); ok {
		t.claims = append(t.claims, reservation{id, e.Key, e.Stored})
		return
	}
	t.keys = append(t.keys, e.Key)
	if e.Stored.After(t.touched) {
		t.touched = e.Stored
	}
	words := 1
	if strings.HasPrefix(name, "f/") {
		words = 2
	}
	rest, mark := layout.SplitMark(name, words)
	switch rest {
	case "record":
		t.record, t.recorded, t.recordTag = true, e.Modified, e.ETag
	case "size":
		t.size, t.sized = true, e.Modified
	case layout.ObjectName:
		t.layouts = append(t.layouts, marked{mark: mark, at: e.Modified})
	case "gone":
		t.gone = true
	case "deadletter":
		t.deadLettered = true
	default:
		if r, ok := layout.ParseFragment(rest); ok && e.Size == r.Len() {
			t.fragments = append(t.fragments, marked{r, mark, e.Modified})
		}
	}
}
