// Package api makes the S3 requests that the store needs: small objects, multipart uploads,
// listings. It knows nothing of uploads. Transient errors are retried by one policy; what
// still fails is one of the errors below, storage.ErrNoSpace or storage.ErrUnavailable.
package api

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
	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// Client makes requests to one bucket. Create it with Connect.
type Client struct {
	Can      Abilities
	Arbiter  Arbiter // unless Can.PutIfAbsent and Can.CompleteIfAbsent
	PageSize *int32  // objects per page of a listing, nil for S3's default

	sdk    *awss3.Client
	bucket *string
	sse    types.ServerSideEncryption
	sseKey *string
	now    func() time.Time
}

// Errors that are not failures of S3.
var (
	ErrMissing   = errors.New("no such key")
	ErrTaken     = errors.New("the key exists")
	ErrNoUpload  = errors.New("no such multipart upload")
	ErrRecreated = errors.New("S3 has recreated the multipart upload")
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
		return ErrNoUpload
	case code == "NoSuchBucket":
		return storage.Unavailable(op, key, err)
	case code == "NoSuchKey", status == http.StatusNotFound:
		return ErrMissing
	case status == http.StatusPreconditionFailed:
		return ErrTaken
	case code == "QuotaExceeded", code == "XMinioStorageFull", status == http.StatusInsufficientStorage:
		return fmt.Errorf("%s %s: %w: %w", op, key, storage.ErrNoSpace, err)
	}
	return storage.Unavailable(op, key, err)
}

// unsigned omits the payload hash from the signature: bodies carry their own checksum.
var unsigned = awss3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)

func (c *Client) crc(sum crc32c.Sum) (*string, types.ChecksumAlgorithm) {
	if c.Can.Sums == SumsOff {
		return nil, ""
	}
	return aws.String(sum.String()), types.ChecksumAlgorithmCrc32c
}

// Object is an object to be written with one request.
type Object struct {
	Key         string
	Body        io.ReadSeeker
	Size        int64
	Sum         crc32c.Sum
	IfAbsent    bool   // write only if the key does not exist
	Class       string // storage class, "" for the bucket's default
	ContentType string
	Disposition string
	Metadata    map[string]string
}

// JSONObject returns an object with the given text.
func JSONObject(key string, text []byte) Object {
	return Object{Key: key, Body: bytes.NewReader(text), Size: int64(len(text)), Sum: crc32c.Of(text), ContentType: "application/json"}
}

// Put writes an object. If that must be absent and is not, Put returns ErrTaken.
func (c *Client) Put(ctx context.Context, o Object) error {
	if o.IfAbsent && !c.Can.PutIfAbsent {
		return c.putDecided(ctx, o)
	}
	in := &awss3.PutObjectInput{
		Bucket: c.bucket, Key: &o.Key, Body: o.Body, ContentLength: &o.Size, Metadata: o.Metadata,
		ContentType: notEmpty(o.ContentType), ContentDisposition: notEmpty(o.Disposition),
		StorageClass: types.StorageClass(o.Class), ServerSideEncryption: c.sse, SSEKMSKeyId: c.sseKey,
	}
	in.ChecksumCRC32C, in.ChecksumAlgorithm = c.crc(o.Sum)
	if o.IfAbsent {
		in.IfNoneMatch = aws.String("*")
	}
	_, err := c.sdk.PutObject(ctx, in, unsigned)
	return mapError("put", o.Key, err)
}

// PutIfAbsent writes text under a key that does not exist, and returns the key's content:
// text, or what another writer stored first. A request that was retried because its
// response was lost finds its own text, and succeeds.
func (c *Client) PutIfAbsent(ctx context.Context, key string, text []byte) ([]byte, error) {
	if !c.Can.PutIfAbsent {
		return c.textIfAbsent(ctx, key, text)
	}
	o := JSONObject(key, text)
	o.IfAbsent = true
	err := c.Put(ctx, o)
	if errors.Is(err, ErrTaken) {
		return c.Get(ctx, key)
	}
	return text, err
}

// Get reads a small object whole. A response that stalls is requested a second time.
func (c *Client) Get(ctx context.Context, key string) ([]byte, error) {
	text, err := c.getOnce(ctx, key)
	if IsStalled(err) {
		text, err = c.getOnce(ctx, key)
	}
	return text, err
}

func (c *Client) getOnce(ctx context.Context, key string) ([]byte, error) {
	body, err := c.Open(ctx, key, 0, 0)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	return text, mapError("get", key, err)
}

// GetWithMetadata reads a small object whole, with its metadata.
func (c *Client) GetWithMetadata(ctx context.Context, key string) (text []byte, metadata map[string]string, err error) {
	out, err := c.sdk.GetObject(ctx, &awss3.GetObjectInput{Bucket: c.bucket, Key: &key})
	if err != nil {
		return nil, nil, mapError("get", key, err)
	}
	defer out.Body.Close()
	text, err = io.ReadAll(out.Body)
	return text, out.Metadata, mapError("get", key, err)
}

// Open reads an object from offset on, n bytes or, if n is 0, to its end.
func (c *Client) Open(ctx context.Context, key string, offset, n int64) (io.ReadCloser, error) {
	in := &awss3.GetObjectInput{Bucket: c.bucket, Key: &key}
	if offset > 0 || n > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", offset))
	}
	if n > 0 {
		*in.Range += fmt.Sprint(offset + n - 1)
	}
	if in.Range == nil && c.Can.Sums != SumsOff {
		in.ChecksumMode = types.ChecksumModeEnabled // the SDK checks it at the end
	}
	out, err := c.sdk.GetObject(ctx, in)
	if err != nil {
		return nil, mapError("get", key, err)
	}
	return out.Body, nil
}

// SumName is the name of the metadata entry that holds the CRC32C of the whole file, for
// files for which S3 may not return one.
const SumName = "holdfast-crc32c"

// Header is the metadata of an object, as S3 returns it.
type Header struct {
	Size     int64
	Modified time.Time // by S3's clock
	Stored   time.Time // the same, by this process's clock
	Metadata map[string]string
	Sum      *crc32c.Sum // nil if unknown
}

// ahead returns how far this process's clock is ahead of S3's, by a response of S3, or 0
// if that has no date. Added to a time of S3's it gives the time by this clock, and an
// age that is never higher than by S3's clock.
func (c *Client) ahead(response middleware.Metadata) time.Duration {
	at, ok := awsmiddleware.GetServerTime(response) // in whole seconds
	if !ok {
		return 0
	}
	return c.now().Sub(at)
}

// Head returns the metadata of an object.
func (c *Client) Head(ctx context.Context, key string) (Header, error) {
	in := &awss3.HeadObjectInput{Bucket: c.bucket, Key: &key}
	if c.Can.Sums != SumsOff {
		in.ChecksumMode = types.ChecksumModeEnabled
	}
	out, err := c.sdk.HeadObject(ctx, in)
	if err != nil {
		return Header{}, mapError("head", key, err)
	}
	h := Header{Size: aws.ToInt64(out.ContentLength), Modified: aws.ToTime(out.LastModified), Metadata: out.Metadata}
	h.Stored = h.Modified.Add(c.ahead(out.ResultMetadata))
	for _, text := range []string{out.Metadata[SumName], aws.ToString(out.ChecksumCRC32C)} {
		if sum, ok := crc32c.Parse(text); ok {
			h.Sum = &sum
			break
		}
	}
	return h, nil
}

// Entry is an object in a listing.
type Entry struct {
	Key      string
	Size     int64
	Modified time.Time // by S3's clock
	Stored   time.Time // the same, by this process's clock
	ETag     string    // without quotes
}

// List yields the objects whose keys begin with prefix, in the order of their keys.
func (c *Client) List(ctx context.Context, prefix string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for page, err := range c.Pages(ctx, prefix) {
			if err != nil {
				yield(Entry{}, err)
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

// Pages is list, page by page. Each page shows the objects at the time of its request, so
// several pages together are not a snapshot.
func (c *Client) Pages(ctx context.Context, prefix string) iter.Seq2[[]Entry, error] {
	return func(yield func([]Entry, error) bool) {
		pages := awss3.NewListObjectsV2Paginator(c.sdk, &awss3.ListObjectsV2Input{Bucket: c.bucket, Prefix: &prefix, MaxKeys: c.PageSize})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(nil, mapError("list", prefix, err))
				return
			}
			entries := make([]Entry, len(page.Contents))
			ahead := c.ahead(page.ResultMetadata)
			for i, o := range page.Contents {
				modified := aws.ToTime(o.LastModified)
				entries[i] = Entry{*o.Key, aws.ToInt64(o.Size), modified, modified.Add(ahead), strings.Trim(aws.ToString(o.ETag), `"`)}
			}
			if !yield(entries, nil) {
				return
			}
		}
	}
}

func notEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
