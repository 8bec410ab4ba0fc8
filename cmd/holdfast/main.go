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
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second signal ends the process at once
	slog.SetDefault(newLog(stderr, command.Config))
	if err := obey(ctx, command, stdout); err != nil {
		fmt.Fprintf(stderr, "holdfast: %v\n", err)
		return 1
	}
	return 0
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
