package stores

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/holdfast-upload/holdfast/config"
	"github.com/holdfast-upload/holdfast/storage/disk"
	"github.com/holdfast-upload/holdfast/storage/redis"
	"github.com/holdfast-upload/holdfast/storage/s3"
)

// Check prints what the store can do, one check in a line. It returns an error if the
// server would not start with it.
func Check(ctx context.Context, cfg config.Config, stdout io.Writer) error {
	if cfg.S3Bucket == "" {
		return checkDisk(ctx, cfg, stdout)
	}
	opts := s3Options(cfg)
	if cfg.Redis != "" {
		opts.Arbiter = (*redis.Arbiter)(nil) // there would be one
	}
	results, err := s3.Check(ctx, opts)
	out := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	for _, r := range results {
		fmt.Fprintf(out, "%s\t%s\t%s\n", r.Level, r.Check, r.Message)
	}
	_ = out.Flush() // standard output may be closed
	return err
}

func checkDisk(ctx context.Context, cfg config.Config, stdout io.Writer) error {
	store, err := disk.Open(cfg.Data, disk.Options{NoSync: !cfg.Fsync})
	if err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	defer store.Close()
	if err := store.Check(ctx); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "ok  directory %s\n", cfg.Data)
	return nil
}
