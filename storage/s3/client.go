package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/holdfast-upload/holdfast/storage"
)

// client makes the S3 requests that the store needs, and maps their errors. The SDK
// retries transient ones; see retryer.
type client struct {
	s3        *awss3.Client
	bucket    *string
	checksums bool // send a CRC32C with every object, for S3 to verify
	class     types.StorageClass
	sse       types.ServerSideEncryption
	sseKey    *string
	now       func() time.Time
	pageSize  *int32 // objects per page of a listing, nil for S3's default
}

// Errors that are not failures of S3.
var (
	errMissing   = errors.New("no such key")
	errTaken     = errors.New("the key exists")
	errNoUpload  = errors.New("no such multipart upload")
	errRecreated = errors.New("S3 has recreated the multipart upload")
)

// mapError turns an error of the SDK into one of the above, ErrNoSpace or ErrUnavailable.
func mapError(op, key string, err error) error {
	if err == nil {
		return nil
	}
	var api smithy.APIError
	code := ""
	if errors.As(err, &api) {
		code = api.ErrorCode()
	}
	var response *awshttp.ResponseError
	status := 0
	if errors.As(err, &response) {
		status = response.HTTPStatusCode()
	}
	switch {
	case code == "NoSuchUpload":
		return errNoUpload
	case code == "NoSuchBucket":
		return storage.Unavailable(op, key, err)
	case code == "NoSuchKey", status == http.StatusNotFound:
		return errMissing
	case status == http.StatusPreconditionFailed:
		return errTaken
	case code == "QuotaExceeded", code == "XMinioStorageFull", status == http.StatusInsufficientStorage:
		return fmt.Errorf("%s %s: %w: %w", op, key, storage.ErrNoSpace, err)
	}
	return storage.Unavailable(op, key, err)
}

// unsigned omits the payload hash from the signature: bodies carry their own checksum.
var unsigned = awss3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)

func (c *client) crc(sum checksum) (*string, types.ChecksumAlgorithm) {
	if !c.checksums {
		return nil, ""
	}
	return aws.String(sum.String()), types.ChecksumAlgorithmCrc32c
}

// object is an object to be written with one request.
type object struct {
	key         string
	body        io.ReadSeeker
	size        int64
	sum         checksum
	ifAbsent    bool // write only if the key does not exist
	unsummed    bool // for a multipart upload: do not have S3 compute its checksum
	contentType string
	disposition string
	metadata    map[string]string
}

func jsonObject(key string, text []byte) object {
	return object{key: key, body: bytes.NewReader(text), size: int64(len(text)), sum: checksum(crcOf(text)), contentType: "application/json"}
}

func (c *client) put(ctx context.Context, o object) error {
	in := &awss3.PutObjectInput{
		Bucket: c.bucket, Key: &o.key, Body: o.body, ContentLength: &o.size, Metadata: o.metadata,
		ContentType: notEmpty(o.contentType), ContentDisposition: notEmpty(o.disposition),
		StorageClass: c.class, ServerSideEncryption: c.sse, SSEKMSKeyId: c.sseKey,
	}
	in.ChecksumCRC32C, in.ChecksumAlgorithm = c.crc(o.sum)
	if o.ifAbsent {
		in.IfNoneMatch = aws.String("*")
	}
	_, err := c.s3.PutObject(ctx, in, unsigned)
	return mapError("put", o.key, err)
}

// putIfAbsent writes text under a key that does not exist, and returns the key's content:
// text, or what another writer stored first. A request that was retried because its
// response was lost finds its own text, and succeeds.
func (c *client) putIfAbsent(ctx context.Context, key string, text []byte) ([]byte, error) {
	o := jsonObject(key, text)
	o.ifAbsent = true
	err := c.put(ctx, o)
	if errors.Is(err, errTaken) {
		return c.get(ctx, key)
	}
	return text, err
}

// get reads a small object whole. A response that stalls is requested a second time.
func (c *client) get(ctx context.Context, key string) ([]byte, error) {
	text, err := c.getOnce(ctx, key)
	if isStalled(err) {
		text, err = c.getOnce(ctx, key)
	}
	return text, err
}

func (c *client) getOnce(ctx context.Context, key string) ([]byte, error) {
	body, err := c.open(ctx, key, 0, 0)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	return text, mapError("get", key, err)
}

// open reads an object from offset on, n bytes or, if n is 0, to its end.
func (c *client) open(ctx context.Context, key string, offset, n int64) (io.ReadCloser, error) {
	in := &awss3.GetObjectInput{Bucket: c.bucket, Key: &key}
	if offset > 0 || n > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", offset))
	}
	if n > 0 {
		*in.Range += fmt.Sprint(offset + n - 1)
	}
	if in.Range == nil && c.checksums {
		in.ChecksumMode = types.ChecksumModeEnabled // the SDK checks it at the end
	}
	out, err := c.s3.GetObject(ctx, in)
	if err != nil {
		return nil, mapError("get", key, err)
	}
	return out.Body, nil
}

// header is the metadata of an object, as S3 returns it.
type header struct {
	size     int64
	modified time.Time // by S3's clock
	stored   time.Time // the same, by this process's clock
	metadata map[string]string
	sum      *checksum // nil if unknown
}

// ahead returns how far this process's clock is ahead of S3's, by a response of S3, or 0
// if that has no date. Added to a time of S3's it gives the time by this clock, and an
// age that is never higher than by S3's clock.
func (c *client) ahead(response middleware.Metadata) time.Duration {
	at, ok := awsmiddleware.GetServerTime(response) // in whole seconds
	if !ok {
		return 0
	}
	return c.now().Sub(at)
}

func (c *client) head(ctx context.Context, key string) (header, error) {
	in := &awss3.HeadObjectInput{Bucket: c.bucket, Key: &key}
	if c.checksums {
		in.ChecksumMode = types.ChecksumModeEnabled
	}
	out, err := c.s3.HeadObject(ctx, in)
	if err != nil {
		return header{}, mapError("head", key, err)
	}
	h := header{size: aws.ToInt64(out.ContentLength), modified: aws.ToTime(out.LastModified), metadata: out.Metadata}
	h.stored = h.modified.Add(c.ahead(out.ResultMetadata))
	for _, text := range []string{out.Metadata[sumName], aws.ToString(out.ChecksumCRC32C)} {
		if sum, ok := parseChecksum(text); ok {
			h.sum = &sum
			break
		}
	}
	return h, nil
}

// entry is an object in a listing.
type entry struct {
	key      string
	size     int64
	modified time.Time // by S3's clock
	stored   time.Time // the same, by this process's clock
	etag     string    // without quotes
}

// list yields the objects whose keys begin with prefix, in the order of their keys.
func (c *client) list(ctx context.Context, prefix string) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		for page, err := range c.pages(ctx, prefix) {
			if err != nil {
				yield(entry{}, err)
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// pages is list, page by page. Each page shows the objects at the time of its request, so
// several pages together are not a snapshot.
func (c *client) pages(ctx context.Context, prefix string) iter.Seq2[[]entry, error] {
	return func(yield func([]entry, error) bool) {
		pages := awss3.NewListObjectsV2Paginator(c.s3, &awss3.ListObjectsV2Input{Bucket: c.bucket, Prefix: &prefix, MaxKeys: c.pageSize})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(nil, mapError("list", prefix, err))
				return
			}
			entries := make([]entry, len(page.Contents))
			ahead := c.ahead(page.ResultMetadata)
			for i, o := range page.Contents {
				modified := aws.ToTime(o.LastModified)
				entries[i] = entry{*o.Key, aws.ToInt64(o.Size), modified, modified.Add(ahead), strings.Trim(aws.ToString(o.ETag), `"`)}
			}
			if !yield(entries, nil) {
				return
			}
		}
	}
}

// remove deletes objects, a thousand per request. Missing ones are not an error.
func (c *client) remove(ctx context.Context, keys ...string) error {
	for len(keys) > 0 {
		batch := keys[:min(len(keys), 1000)]
		keys = keys[len(batch):]
		ids := make([]types.ObjectIdentifier, len(batch))
		for i := range batch {
			ids[i].Key = &batch[i]
		}
		out, err := c.s3.DeleteObjects(ctx, &awss3.DeleteObjectsInput{
			Bucket: c.bucket, Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)},
		})
		if err != nil {
			return mapError("delete", batch[0], err)
		}
		for _, e := range out.Errors {
			if aws.ToString(e.Code) != "NoSuchKey" {
				return storage.Unavailable("delete", aws.ToString(e.Key), errors.New(aws.ToString(e.Code)+": "+aws.ToString(e.Message)))
			}
		}
	}
	return nil
}

func notEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
