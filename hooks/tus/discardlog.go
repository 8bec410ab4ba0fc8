package tus

import (
	"context"

	"golang.org/x/exp/slog"
)

// discardLogger returns a logger that drops everything: holdfast logs the requests of all
// protocols itself, and errors where they occur.
func discardLogger() *slog.Logger { return slog.New(discardHandler{}) }

type discardHandler struct{}

func (discardHandler) Enabled(context.Context, slog.Level) bool  { return false }
func (discardHandler) Handle(context.Context, slog.Record) error { return nil }
func (d discardHandler) WithAttrs([]slog.Attr) slog.Handler      { return d }
func (d discardHandler) WithGroup(string) slog.Handler           { return d }
