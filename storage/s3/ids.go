package s3

import (
	"context"
	"iter"
	"strings"

	"github.com/holdfast-upload/holdfast/storage"
)

var _ storage.IDLister = (*Store)(nil)

// ListIDs implements storage.IDLister: with a listing each of records, of files whose key is
// the id, and of done objects.
func (s *Store) ListIDs(ctx context.Context, prefix string) iter.Seq2[string, error] {
	live, done := strings.TrimSuffix(s.liveKey("", ""), "/"), s.doneKey("")
	places := []struct{ before, after string }{{live, "/record"}, {s.opts.Prefix, ""}, {done, ""}}
	return func(yield func(string, error) bool) {
		for _, place := range places {
			for e, err := range s.client.List(ctx, place.before+prefix) {
				if err != nil {
					yield("", err)
					return
				}
				id, ok := strings.CutSuffix(strings.TrimPrefix(e.Key, place.before), place.after)
				if ok && storage.CheckID(id) == nil && !yield(id, nil) {
					return
				}
			}
		}
	}
}
