package s3

import (
	"context"
	"fmt"

	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/probe"
)

// Result is the outcome of a check of an S3 server: see Check.
type Result = probe.Result

// Check finds out what the S3 server can do with the bucket of opts, by trying it on objects
// that are removed. The error is about what Open would fail for.
func Check(ctx context.Context, opts Options) ([]Result, error) {
	opts.setDefaults()
	client, err := api.Connect(ctx, opts.connection())
	if err != nil {
		return nil, err
	}
	report, err := probe.Run(ctx, client, opts.probe())
	if err == nil {
		err = report.Err()
	}
	return report.Results, err
}

// connect returns a client that does without what the server can't do.
func connect(ctx context.Context, opts Options) (*api.Client, error) {
	client, err := api.Connect(ctx, opts.connection())
	if err != nil {
		return nil, err
	}
	if opts.Arbiter != nil {
		client.Arbiter = opts.Arbiter
	}
	if opts.assume != nil {
		client.Can = *opts.assume
		return client, nil
	}
	report, err := probe.Run(ctx, client, opts.probe())
	if err == nil {
		err = report.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("S3 at bucket %q: %w", opts.Bucket, err)
	}
	for _, r := range report.Results {
		if r.Level == probe.Limited {
			opts.Log.WarnContext(ctx, r.Message, "check", r.Check)
		}
	}
	client.Can = report.Can
	return client, nil
}

func (opts Options) probe() probe.Options {
	need := map[Checksums]probe.Need{ChecksumsAuto: probe.IfPossible, ChecksumsRequired: probe.Required, ChecksumsOff: probe.Unwanted}
	return probe.Options{
		Prefix: opts.Prefix, Class: opts.StorageClass, Encrypted: opts.EncryptionKey != "" || opts.Encryption == "aws:kms",
		ChecksumsBy: need[opts.Checksums], Shared: opts.Arbiter != nil,
	}
}
