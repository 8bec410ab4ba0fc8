package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/config"
	"github.com/holdfast-upload/holdfast/storage"
)

// admit is a rule for uploads that are to be created: it may change the record, or
// refuse it.
type admit func(context.Context, *storage.Record) error

// inTurn is the rule that all of rules apply, in their order, but for nil ones.
func inTurn(rules ...admit) admit {
	return func(ctx context.Context, rec *storage.Record) error {
		for _, rule := range rules {
			if rule == nil {
				continue
			}
			if err := rule(ctx, rec); err != nil {
				return err
			}
		}
		return nil
	}
}

// nameFiles gives each upload the key that a template says, but for those that exist
// only to be concatenated, and those that have one.
func nameFiles(template config.KeyTemplate) (admit, error) {
	if err := checkTemplate(template); err != nil {
		return nil, fmt.Errorf("--key-template: %w", err)
	}
	return func(_ context.Context, rec *storage.Record) error {
		if rec.Key == "" && !rec.Partial {
			rec.Key = template.Key(config.File{ID: rec.ID, Name: rec.Filename(), Owner: rec.Owner, Creation: time.Now()})
		}
		return nil
	}, nil
}

// checkTemplate returns an error unless all keys that a template makes are allowed: it is
// tried with files that have little to say, and as much as can be.
func checkTemplate(template config.KeyTemplate) error {
	if template == "" {
		return nil
	}
	const ext = ".abcdefghij"
	id := strings.Repeat("i", storage.MaxIDLength)
	long, wide := strings.Repeat("n", 300), strings.Repeat("\U0001F600", 100)
	for _, f := range []config.File{
		{ID: "i"},
		{ID: "i", Name: "name.mp4", Owner: "owner"},
		{ID: id, Name: long + ext, Owner: long},
		{ID: id, Name: wide + ext, Owner: wide}, // of which not even one may fit
	} {
		f.Creation = time.Now()
		if err := storage.CheckKey(template.Key(f)); err != nil {
			return err
		}
	}
	return nil
}
