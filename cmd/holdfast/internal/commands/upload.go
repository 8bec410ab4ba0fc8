package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/holdfast-upload/holdfast/client"
	"github.com/holdfast-upload/holdfast/config"
)

// filesAtOnce is how many files are uploaded at once: enough for the round trips of small
// ones. The chunks of all share one line.
const filesAtOnce = 4

// item is a file to upload.
type item struct {
	path     string // "-" is standard input
	relative string // the path below the directory that was given, "" for a file
}

// upload uploads the files of the command line.
func upload(ctx context.Context, command config.Command, std IO) error {
	opts := options(command.Upload.Remote)
	opts.RateLimit, opts.MaxParallel = int64(command.Upload.LimitRate), command.Upload.Parallel
	if command.Upload.Protocol != "auto" {
		opts.Protocol = client.Protocol(command.Upload.Protocol)
	}
	if command.Upload.Resume {
		urls, err := urlStore()
		if err != nil {
			return err
		}
		opts.URLs = urls
	}
	args := command.Upload.Args
	items, several, err := collect(args[:len(args)-1])
	if err != nil {
		return err
	}
	target := args[len(args)-1]
	if several {
		if target, err = collection(target); err != nil {
			return err
		}
	}
	return uploadAll(ctx, client.New(opts), items, target, command.Upload, std)
}

// uploadAll uploads several files. One that fails does not keep the others from being
// uploaded, except by an interruption.
func uploadAll(ctx context.Context, c *client.Client, items []item, target string, settings config.Upload, std IO) error {
	d := newDisplay(settings.JSON, len(items), std)
	var mu sync.Mutex
	var failed []error
	var work errgroup.Group
	work.SetLimit(filesAtOnce)
	for _, i := range items {
		work.Go(func() error {
			if ctx.Err() != nil {
				return nil
			}
			if err := uploadOne(ctx, c, i, target, settings, std, d); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, err)
			}
			return nil
		})
	}
	_ = work.Wait() // the errors are in failed
	d.close()
	if ctx.Err() != nil {
		return interrupted{}
	}
	if len(items) > 1 && len(failed) > 0 {
		return fmt.Errorf("%d of %d files failed: %w", len(failed), len(items), worst(failed))
	}
	return errors.Join(failed...)
}

// worst returns the error with the exit code that matters most: other bytes on the server,
// then a failure, then one that the same command may repair.
func worst(errs []error) error {
	order := map[int]int{codeDiffers: 3, codeFailed: 2, codeGaveUp: 1}
	found := errs[0]
	for _, err := range errs {
		if order[ExitCode(err)] > order[ExitCode(found)] {
			found = err
		}
	}
	return found
}

func uploadOne(ctx context.Context, c *client.Client, i item, target string, settings config.Upload, std IO, d display) error {
	src, err := open(i, settings, std)
	if err != nil {
		return err
	}
	defer src.Close()
	v := d.start(cmp.Or(i.relative, i.path), src.Size())
	result, err := c.Upload(ctx, target, src, v.progress)
	v.end(result, err)
	if err != nil {
		return fmt.Errorf("%s: %w", i.path, err)
	}
	return nil
}

// open opens a file, with the name and type that the server is to have.
func open(i item, settings config.Upload, std IO) (*client.Source, error) {
	src := client.Reader(std.Stdin)
	if i.path != "-" {
		var err error
		if src, err = client.File(i.path); err != nil {
			return nil, err
		}
	}
	src.Name = cmp.Or(settings.Name, src.Name)
	src.ContentType = cmp.Or(settings.ContentType, src.ContentType)
	src.Metadata = map[string]string{}
	for key, value := range settings.Metadata {
		src.Metadata[key] = value
	}
	if i.relative != "" {
		src.Metadata["relativePath"] = i.relative
	}
	return src, nil
}

// collect returns the files that the arguments name, those of directories included, and
// reports whether there may be more than one.
func collect(args []string) (items []item, several bool, err error) {
	for _, path := range args {
		info, err := os.Stat(path)
		switch {
		case path == "-":
			items = append(items, item{path: path})
		case err != nil:
			return nil, false, err
		case !info.IsDir():
			items = append(items, item{path: path})
		default:
			several = true
			found, err := walk(path)
			if err != nil {
				return nil, false, err
			}
			items = append(items, found...)
		}
	}
	return items, several || len(items) > 1, nil
}

// walk returns the regular files below a directory.
func walk(dir string) (items []item, err error) {
	dir = filepath.Clean(dir)
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		relative, err := filepath.Rel(filepath.Dir(dir), path)
		items = append(items, item{path, filepath.ToSlash(relative)})
		return err
	})
	return items, err
}

// collection returns the URL of a collection: with a path that ends with "/".
func collection(target string) (string, error) {
	u, err := url.Parse(target)
	if err != nil {
		return "", err
	}
	if !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	return u.String(), nil
}
