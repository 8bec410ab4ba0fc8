// Package commands has the commands of holdfast but serve: those that people use as clients of
// a server, those for the operator of one, and those that look at settings. Package client does
// the work of the first; this one shows it, and turns errors into exit codes.
package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/holdfast-upload/holdfast/client"
	"github.com/holdfast-upload/holdfast/cmd/holdfast/internal/stores"
	"github.com/holdfast-upload/holdfast/config"
)

// The exit codes of the commands; 0 is success, and 2 a wrong command line.
const (
	codeFailed      = 1   // the server refused, or a file can't be read
	codeGaveUp      = 3   // no progress; the same command again continues
	codeDiffers     = 4   // the server has other bytes, or the file changed meanwhile
	codeInterrupted = 130 // by SIGINT or SIGTERM; the same command again continues
)

// interrupted is the error of an interrupted command.
type interrupted struct{}

func (interrupted) Error() string { return "interrupted; the same command again continues" }
func (interrupted) Unwrap() error { return context.Canceled }

// IO is what a command reads and writes.
type IO struct {
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
}

// Run runs a command if it is one of this package, and reports whether it is. The exit code
// for an error is that of ExitCode.
func Run(ctx context.Context, command config.Command, std IO) (ok bool, err error) {
	run, ok := map[string]func(context.Context, config.Command, IO) error{
		"upload": upload, "download": download, "status": status, "rm": remove,
		"ls": list, "deliveries": listDeliveries, "deliveries retry": retryDeliveries, "health": health,
		"check-store": checkStore, "config check": checkConfig, "ticket create": createTicket, "completion": completion,
	}[command.Name]
	if !ok {
		return false, nil
	}
	return true, run(ctx, command, std)
}

// ExitCode returns the exit code for an error of Run.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, client.ErrChecksum), errors.Is(err, client.ErrChanged):
		return codeDiffers
	case errors.Is(err, context.Canceled):
		return codeInterrupted
	case errors.Is(err, client.ErrGaveUp):
		return codeGaveUp
	}
	return codeFailed
}

// options returns the options that all commands have in common.
func options(r config.Remote) client.Options {
	opts := client.Options{Header: http.Header{}, GiveUpAfter: r.GiveUpAfter}
	if r.GiveUpAfter == 0 {
		opts.GiveUpAfter = -1
	}
	for _, line := range r.Header {
		name, value, _ := strings.Cut(line, ":")
		opts.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	switch {
	case r.Token != "":
		opts.Token = func(context.Context) (string, error) { return r.Token, nil }
	case r.TokenFile != "":
		opts.Token = func(context.Context) (string, error) {
			text, err := os.ReadFile(r.TokenFile)
			return strings.TrimSpace(string(text)), err
		}
	}
	return opts
}

// urlStore returns where the URLs of unfinished uploads are remembered.
func urlStore() (client.URLStore, error) {
	dir, err := client.StateDir()
	if err != nil {
		return nil, fmt.Errorf("find the state directory: %w (--no-resume goes without it)", err)
	}
	return client.DirURLStore(filepath.Join(dir, "holdfast", "uploads")), nil
}

// checkStore prints what the store that the settings name can do.
func checkStore(ctx context.Context, command config.Command, std IO) error {
	return stores.Check(ctx, command.Config, std.Stdout)
}

// checkConfig prints the settings as they are understood, without secrets.
func checkConfig(_ context.Context, command config.Command, std IO) error {
	return config.WriteSettings(std.Stdout, command.Settings)
}

// completion prints a script for a shell.
func completion(_ context.Context, command config.Command, std IO) error {
	return config.WriteCompletion(std.Stdout, command.Completion.Shell)
}

// remove deletes uploads.
func remove(ctx context.Context, command config.Command, std IO) error {
	c := client.New(options(command.Remote.Remote))
	var failed error
	for _, url := range command.Remote.URLs {
		err := c.Delete(ctx, url)
		if command.Remote.JSON {
			writeJSON(std.Stdout, event{Event: eventOf(err, "deleted"), URL: url, Error: textOf(err)})
		} else if err == nil {
			fmt.Fprintf(std.Stdout, "deleted %s\n", url)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}
