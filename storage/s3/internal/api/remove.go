package api

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"golang.org/x/sync/errgroup"

	"github.com/holdfast-upload/holdfast/storage"
)

// concurrentDeletes is the number of concurrent requests that delete single objects.
const concurrentDeletes = 8

// Remove deletes objects, if possible a thousand per request. Missing ones are not an error.
func (c *Client) Remove(ctx context.Context, keys ...string) error {
	remove := c.removeBatch
	if !c.Can.BatchDelete {
		remove = c.removeSingly
	}
	for rest := keys; len(rest) > 0; {
		batch := rest[:min(len(rest), 1000)]
		rest = rest[len(batch):]
		if err := remove(ctx, batch); err != nil {
			return err
		}
		if c.Can.PutIfAbsent && c.Can.CompleteIfAbsent {
			continue
		}
		if err := c.Arbiter.Forget(ctx, batch...); err != nil {
			return storage.Unavailable("forget", batch[0], err)
		}
	}
	return nil
}

func (c *Client) removeBatch(ctx context.Context, keys []string) error {
	ids := make([]types.ObjectIdentifier, len(keys))
	for i := range keys {
		ids[i].Key = &keys[i]
	}
	out, err := c.sdk.DeleteObjects(ctx, &awss3.DeleteObjectsInput{
		Bucket: c.bucket, Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)},
	}, awss3.WithAPIOptions(withContentMD5))
	if err != nil {
		return mapError("delete", keys[0], err)
	}
	for _, e := range out.Errors {
		if aws.ToString(e.Code) != "NoSuchKey" {
			return storage.Unavailable("delete", aws.ToString(e.Key), errors.New(aws.ToString(e.Code)+": "+aws.ToString(e.Message)))
		}
	}
	return nil
}

func (c *Client) removeSingly(ctx context.Context, keys []string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrentDeletes)
	for _, key := range keys {
		group.Go(func() error {
			_, err := c.sdk.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: c.bucket, Key: &key})
			if err = mapError("delete", key, err); errors.Is(err, ErrMissing) {
				err = nil
			}
			return err
		})
	}
	return group.Wait()
}

// withContentMD5 sends a Content-MD5 in place of the SDK's own checksum. Amazon S3 requires
// one of them when many objects are deleted (API reference, DeleteObjects); older servers
// know only Content-MD5.
func withContentMD5(stack *middleware.Stack) error {
	// The ids of the SDK's middleware. One that is not there has not been added.
	_, _ = stack.Initialize.Remove("AWSChecksum:SetupInputContext")
	_, _ = stack.Build.Remove("AWSChecksum:RequestTrailingChecksum")
	_, _ = stack.Finalize.Remove("AWSChecksum:AddInputChecksumTrailer")
	_, _ = stack.Finalize.Remove("AWSChecksum:ComputeInputPayloadChecksum")
	return smithyhttp.AddContentChecksumMiddleware(stack)
}
