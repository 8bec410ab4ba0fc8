package tus

import (
	"context"

	"golang.org/x/exp/slog"
)

// silent is a logger for tusd, which wants one of its own kind: holdfast logs the
// requests of all doors itself, and the errors where they arise.
func discardLogger() *slog.Logger { return slog.New(discardHandler{}) }

type discardHandler struct{}

func (discardHandler) Enabled(context.Context, slog.Level) bool  { return false }
func (discardHandler) Handle(context.Context, slog.Record) error { return nil }
func (d discardHandler) WithAttrs([]slog.Attr) slog.Handler      { return d }
func (d discardHandler) WithGroup(string) slog.Handler           { return d }
