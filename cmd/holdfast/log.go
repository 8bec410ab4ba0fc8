package main

import (
	"context"
	"io"
	"log/slog"
	"runtime/debug"

	"github.com/holdfast-upload/holdfast/config"
	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/observed"
)

// released is the version of a release build: -ldflags "-X main.released=v1.2.3".
var released string

// version is what --version prints, from the build itself unless it is released.
func version() string {
	if released != "" {
		return released
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}

func newLog(w io.Writer, cfg config.Config) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.LogLevel)) // config allows only what slog knows
	opts := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// tellEach tells each of them of every event.
func tellEach(of ...storage.Notify) storage.Notify {
	return func(ctx context.Context, e storage.Event) {
		for _, notify := range of {
			notify(ctx, e)
		}
	}
}

// tellEvents makes each event of an upload's life known: by a line in the log, in the
// line of the request that caused it, and in the metrics.
func tellEvents(log *slog.Logger, m *observed.Metrics) storage.Notify {
	return func(ctx context.Context, e storage.Event) {
		seen := hooks.SeenIn(ctx)
		seen.Event(e)
		m.Upload(e, seen.Door())
		log.InfoContext(ctx, "upload "+string(e.Type), "id", e.Upload.ID, "event", e.ID, "size", e.Upload.Size)
	}
}
