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

// client makes the few S3 requests that the store needs, and says what their
// errors mean. The SDK below it retries what may pass, by one policy.
type client struct {
	s3        *awss3.Client
	bucket    *string
	checksums bool // S3 is given a CRC32C with what it stores, and checks it
	class     types.StorageClass
	sse       types.ServerSideEncryption
	sseKey    *string
	now       func() time.Time
	pageSize  *int32 // how many objects a page of a listing shows, nil for as many as S3 likes
}

// What S3 may answer that is no failure of it.
var (
	errMissing   = errors.New("no such key")
	errTaken     = errors.New("the key exists")
	errNoUpload  = errors.New("no such multipart upload")
	errRecreated = errors.New("a multipart upload of that id, but begun otherwise")
)

// meaning turns an error of the SDK into one of the above or a transient one.
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

// unsigned leaves out the hash of the payload that the signature would contain:
// what is sent carries its own checksum.
var unsigned = awss3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)

func (c *client) crc(sum checksum) (*string, types.ChecksumAlgorithm) {
	if !c.checksums {
		return nil, ""
	}
	return aws.String(sum.String()), types.ChecksumAlgorithmCrc32c
}

// object is what the store writes under a key at once.
type object struct {
	key         string
	body        io.ReadSeeker
	size        int64
	sum         checksum
	ifAbsent    bool // only if there is nothing under the key
	unsummed    bool // if it is made of parts: without asking S3 for its checksum
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

// putOnce writes text under a key that has nothing, and returns what is there
// then: text, or what somebody else has put there before. A request that was sent
// again after its answer was lost finds its own text, and so all is well.
func (c *client) putOnce(ctx context.Context, key string, text []byte) ([]byte, error) {
	o := jsonObject(key, text)
	o.ifAbsent = true
	err := c.put(ctx, o)
	if errors.Is(err, errTaken) {
		return c.get(ctx, key)
	}
	return text, err
}

// get returns a small object whole. What stalls is asked for a second time.
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

// header is what S3 tells of an object.
type header struct {
	size     int64
	modified time.Time // by S3's clock
	stored   time.Time // the same, by this process's
	metadata map[string]string
	sum      *checksum // nil if it is not known
}

// ahead is how far this process's clock is ahead of S3's, as an answer of S3 shows it. To
// subtract the two without it would be to guess. Where it is added to what S3 says of a
// time, the age of that is never more than by S3's clock.
func (c *client) ahead(answer middleware.Metadata) time.Duration {
	at, told := awsmiddleware.GetServerTime(answer) // in whole seconds
	if !told {
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
	stored   time.Time // the same, by this process's
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

// pages is list, page by page. Each shows what is there when it is asked for, so that
// several together may show what was never there at one time.
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

// remove deletes objects, those that exist not among them, a thousand a request.
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
