// Command holdfast is an upload server for large files over bad networks.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/holdfast-upload/holdfast/cmd/holdfast/internal/commands"
	"github.com/holdfast-upload/holdfast/config"
)

func main() {
	if _, set := os.LookupEnv("GOGC"); !set {
		// Upload buffers live outside the heap, so the heap is small; a lower GOGC saves
		// memory at little CPU cost.
		debug.SetGCPercent(50)
	}
	os.Exit(run(os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr))
}

// run runs the program and returns its exit code: 2 for invalid settings, or that of
// commands.ExitCode.
func run(args []string, getenv func(string) (string, bool), stdout, stderr io.Writer) int {
	command, err := config.Parse(args, config.Env{Getenv: getenv, Environ: os.Environ, Stdout: stdout, Version: version()})
	switch {
	case errors.Is(err, config.ErrPrinted):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "holdfast: %v\n", err)
		return 2
	}
	ctx, stop := interruptible()
	defer stop()
	slog.SetDefault(newLog(stderr, command.Config))
	for _, warning := range command.Warnings {
		slog.Warn("environment: " + warning)
	}
	ran, err := commands.Run(ctx, command, commands.IO{Stdin: os.Stdin, Stdout: stdout, Stderr: stderr})
	if !ran {
		err = serve(ctx, command.Config)
	}
	if err != nil {
		fmt.Fprintf(stderr, "holdfast: %v\n", err)
	}
	return commands.ExitCode(err)
}

// interruptible returns a context that the first signal to end cancels. A second one ends the
// process at once.
func interruptible() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(1)
	}()
	return ctx, func() { signal.Stop(signals); cancel() }
}

func serve(ctx context.Context, cfg config.Config) error {
	signal.Ignore(syscall.SIGPIPE) // without a reader of the log its lines are lost, but the server stays
	s, err := Open(cfg, slog.Default())
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// released is the version of a release build: -ldflags "-X main.released=v1.2.3".
var released string

// version returns the version of the program: that of the release, or else of the module
// in the build information.
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
	_ = level.UnmarshalText([]byte(cfg.LogLevel)) // config has validated it
	opts := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
