package storage

import (
	"context"
	"errors"
	"iter"
	"slices"
)

// IDLister is a Store that finds uploads by the beginning of their ids.
type IDLister interface {
	// ListIDs yields the ids with the given prefix of all uploads, whatever their state, in
	// any order. It may yield an id twice, and that of an upload that was deleted. It stops
	// after an error.
	ListIDs(ctx context.Context, prefix string) iter.Seq2[string, error]
}

// NewestFinished returns, of the finished uploads that matches accepts and whose ids begin
// with prefix, the one with the last id in alphabetical order. It is for prefixes
// with few uploads: see Record.IDPrefix.
//
// Errors: ErrNotFound, also if the store is no IDLister, transient ones, and what
// Policy.Authorize returns other than ErrNotFound.
func (u *Uploads) NewestFinished(ctx context.Context, prefix string, matches func(Upload) bool) (Upload, error) {
	lister, ok := u.store.(IDLister)
	if !ok {
		return Upload{}, ErrNotFound
	}
	var ids []string
	for id, err := range lister.ListIDs(ctx, prefix) {
		if err != nil {
			return Upload{}, err
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range slices.Backward(slices.Compact(ids)) {
		up, err := u.Get(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound), errors.Is(err, ErrGone):
		case err != nil:
			return Upload{}, err
		case up.Finished && matches(up):
			return up, nil
		}
	}
	return Upload{}, ErrNotFound
}
