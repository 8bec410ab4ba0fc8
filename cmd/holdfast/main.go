// Command holdfast takes uploads over HTTP and lets go of nothing.
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

	"github.com/holdfast-upload/holdfast/config"
)

func main() {
	if _, set := os.LookupEnv("GOGC"); !set {
		// Bytes of uploads are no garbage, and what else there is, is little: to collect it
		// twice as often costs less than to keep it.
		debug.SetGCPercent(50)
	}
	os.Exit(run(os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr))
}

// run is the program: it returns the exit code, 2 for a mistake in the settings.
func run(args []string, getenv func(string) (string, bool), stdout, stderr io.Writer) int {
	command, err := config.Parse(args, config.World{Getenv: getenv, Stdout: stdout, Version: version()})
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
	if err := obey(ctx, command, stdout); err != nil {
		fmt.Fprintf(stderr, "holdfast: %v\n", err)
		return 1
	}
	return 0
}

// untilSignal returns a context that ends with the first of the signals. The second ends
// the process at once: by the time that the context has ended, nothing is in its way.
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

// obey does what the command line asks for.
func obey(ctx context.Context, command config.Command, stdout io.Writer) error {
	switch command.Name {
	case "health":
		return health(ctx, command.Config)
	case "ticket":
		return ticket(stdout, command.Ticket)
	case "owed":
		return listOwed(ctx, command, stdout)
	case "owed retry":
		return retryOwed(ctx, command, stdout)
	}
	return serve(ctx, command.Config, slog.Default())
}
