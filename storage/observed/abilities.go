package observed

import (
	"context"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

type concater struct {
	inner storage.Concater
	m     *Metrics
}

// Concat implements storage.Concater.
func (c concater) Concat(ctx context.Context, up storage.Upload, files []storage.Upload) (bool, error) {
	ctx, end := c.m.store.begin(ctx, "concat", up.ID)
	done, err := c.inner.Concat(ctx, up, files)
	end(err)
	return done, err
}

type cleaner struct {
	inner storage.Cleaner
	m     *Metrics
}

// Clean implements storage.Cleaner.
func (c cleaner) Clean(ctx context.Context, before time.Time) error {
	ctx, end := c.m.store.begin(ctx, "clean", "")
	err := c.inner.Clean(ctx, before)
	end(err)
	return err
}

type checker struct {
	inner storage.Checker
	m     *Metrics
}

// Check implements storage.Checker.
func (c checker) Check(ctx context.Context) error {
	ctx, end := c.m.store.begin(ctx, "check", "")
	err := c.inner.Check(ctx)
	end(err)
	return err
}

// withAbilities is s with those abilities that inner has: who asks whether a store
// is able must not be told that it is because it is measured.
func withAbilities(s *store, inner storage.Store) storage.Store {
	concats, canConcat := inner.(storage.Concater)
	cleans, canClean := inner.(storage.Cleaner)
	checks, canCheck := inner.(storage.Checker)
	concat, clean, check := concater{concats, s.m}, cleaner{cleans, s.m}, checker{checks, s.m}
	switch [3]bool{canConcat, canClean, canCheck} {
	case [3]bool{true, true, true}:
		return struct {
			*store
			concater
			cleaner
			checker
		}{s, concat, clean, check}
	case [3]bool{true, true, false}:
		return struct {
			*store
			concater
			cleaner
		}{s, concat, clean}
	case [3]bool{true, false, true}:
		return struct {
			*store
			concater
			checker
		}{s, concat, check}
	case [3]bool{false, true, true}:
		return struct {
			*store
			cleaner
			checker
		}{s, clean, check}
	case [3]bool{true, false, false}:
		return struct {
			*store
			concater
		}{s, concat}
	case [3]bool{false, true, false}:
		return struct {
			*store
			cleaner
		}{s, clean}
	case [3]bool{false, false, true}:
		return struct {
			*store
			checker
		}{s, check}
	}
	return s
}
