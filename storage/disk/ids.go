package disk

import (
	"context"
	"iter"
	"strings"

	"github.com/holdfast-upload/holdfast/storage"
)

var _ storage.IDLister = (*Store)(nil)

// ListIDs implements storage.IDLister. It reads the names of all journals.
func (s *Store) ListIDs(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, dir := range []string{"live", "done"} {
			for id, err := range s.journalIDs(ctx, dir) {
				if (err != nil || strings.HasPrefix(id, prefix)) && !yield(id, err) || err != nil {
					return
				}
			}
		}
	}
}

// journalIDs yields the ids that have a journal in a directory.
func (s *Store) journalIDs(ctx context.Context, dir string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for name, err := range s.fs.Names(s.own(dir)) {
			if err == nil {
				err = ctx.Err()
			}
			id, isLog := strings.CutSuffix(name, ".log")
			if err != nil {
				yield("", storage.Unavailable("list", s.dir, err))
				return
			}
			if isLog && !yield(id, nil) {
				return
			}
		}
	}
}
