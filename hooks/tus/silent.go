package tus

import (
	"context"

	"golang.org/x/exp/slog"
)

// silent is a logger for tusd, which wants one of its own kind: holdfast logs the
// requests of all doors itself, and the errors where they arise.
func silent() *slog.Logger { return slog.New(discard{}) }

type discard struct{}

func (discard) Enabled(context.Context, slog.Level) bool  { return false }
func (discard) Handle(context.Context, slog.Record) error { return nil }
func (d discard) WithAttrs([]slog.Attr) slog.Handler      { return d }
func (d discard) WithGroup(string) slog.Handler           { return d }
