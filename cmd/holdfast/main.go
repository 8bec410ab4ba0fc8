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
	"strings"
	"syscall"
	"time"

	"github.com/holdfast-upload/holdfast/cmd/holdfast/internal/commands"
	"github.com/holdfast-upload/holdfast/config"
	"github.com/holdfast-upload/holdfast/hooks/auth"
)

func main() {
	if _, set := os.LookupEnv("GOGC"); !set {
		// Upload buffers live outside the heap, so the heap is small; a lower GOGC saves
		// memory at little CPU cost.
		debug.SetGCPercent(50)
	}
	os.Exit(run(os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr))
}

// run runs the program and returns its exit code: 0, 1 for a failure, or 2 for invalid
// settings.
func run(args []string, getenv func(string) (string, bool), stdout, stderr io.Writer) int {
	command, err := config.Parse(args, config.Env{Getenv: getenv, Environ: os.Environ, Stdout: stdout, Version: version()})
	switch {
	case errors.Is(err, config.ErrPrinted):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "holdfast: %v\n", err)
		return 2
	}
	ctx, stop := untilSignal(syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	slog.SetDefault(newLog(stderr, command.Config))
	for _, warning := range command.Warnings {
		slog.Warn("environment: " + warning)
	}
	if ok, err := commands.Run(ctx, command, commands.IO{Stdin: os.Stdin, Stdout: stdout, Stderr: stderr}); ok {
		return exit(stderr, err, commands.ExitCode(err))
	}
	return exit(stderr, runCommand(ctx, command, stdout), 1)
}

// exit prints an error, and returns its exit code, 0 if there is none.
func exit(stderr io.Writer, err error, code int) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "holdfast: %v\n", err)
	return code
}

// runCommand runs the command of the command line.
func runCommand(ctx context.Context, command config.Command, stdout io.Writer) error {
	switch command.Name {
	case "config check":
		return config.WriteSettings(stdout, command.Settings)
	case "check-store":
		return checkStore(ctx, command.Config, stdout)
	case "health":
		return commands.Health(ctx, command.Config)
	case "ticket create":
		return ticket(stdout, command.Ticket)
	case "deliveries":
		return commands.ListDeliveries(ctx, command, stdout)
	case "deliveries retry":
		return commands.RetryDeliveries(ctx, command, stdout)
	}
	signal.Ignore(syscall.SIGPIPE) // without a reader of the log its lines are lost, but the server stays
	s, err := Open(command.Config, slog.Default())
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// untilSignal returns a context that is canceled by the first of the signals. From then on
// the signals have their default effect: a second one ends the process at once.
func untilSignal(signals ...os.Signal) (ctx context.Context, stop func()) {
	ctx, stop = context.WithCancel(context.Background())
	first := make(chan os.Signal, 1)
	signal.Notify(first, signals...)
	go func() {
		defer stop()
		defer signal.Stop(first)
		select {
		case <-first:
		case <-ctx.Done():
		}
	}()
	return ctx, stop
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

// ticket prints a ticket, or the URL of the upload with the ticket in it.
func ticket(out io.Writer, t config.Ticket) error {
	secrets, err := config.Secrets(t.Secrets, t.SecretFiles)
	if err != nil {
		return err
	}
	text, err := auth.Sign(secrets[0], auth.Ticket{
		Upload: t.Upload, Subject: t.Subject, Expires: time.Now().Add(t.Expires),
		MaxSize: int64(t.MaxSize), Create: t.Create, Download: t.Download,
	})
	if err != nil {
		return err
	}
	if t.URL != "" {
		text = auth.TicketURL(strings.TrimSuffix(t.URL, "/")+"/"+t.Upload, text)
	}
	_, err = fmt.Fprintln(out, text)
	return err
}
