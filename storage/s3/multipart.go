package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// part is a stored part of a multipart upload.
type part struct {
	number int32
	size   int64
	etag   string
	sum    checksum
	summed bool      // whether sum is known
	stored time.Time // by this process's clock
}

// tag returns the part's ETag and checksum as stored in Extent.Meta.
func (p part) tag() string {
	if !p.summed {
		return p.etag
	}
	return p.etag + ";" + p.sum.String()
}

func (p *part) parseTag(tag string) {
	etag, sum, _ := strings.Cut(tag, ";")
	p.etag = etag
	p.sum, p.summed = parseChecksum(sum)
}

// begin creates a multipart upload for the object described by o.
func (c *client) begin(ctx context.Context, o object) (uploadID string, err error) {
	in := &awss3.CreateMultipartUploadInput{
		Bucket: c.bucket, Key: &o.key, Metadata: o.metadata,
		ContentType: notEmpty(o.contentType), ContentDisposition: notEmpty(o.disposition),
		StorageClass: c.class, ServerSideEncryption: c.sse, SSEKMSKeyId: c.sseKey,
	}
	if c.checksums && !o.unsummed {
		in.ChecksumAlgorithm, in.ChecksumType = types.ChecksumAlgorithmCrc32c, types.ChecksumTypeFullObject
	}
	out, err := c.s3.CreateMultipartUpload(ctx, in)
	if err != nil {
		return "", mapError("begin", o.key, err)
	}
	return *out.UploadId, nil
}

func (c *client) putPart(ctx context.Context, key, uploadID string, number int32, body io.ReadSeeker, size int64, sum checksum) (part, error) {
	in := &awss3.UploadPartInput{
		Bucket: c.bucket, Key: &key, UploadId: &uploadID, PartNumber: &number, Body: body, ContentLength: &size,
	}
	in.ChecksumCRC32C, in.ChecksumAlgorithm = c.crc(sum)
	out, err := c.s3.UploadPart(ctx, in, unsigned)
	if err != nil {
		return part{}, mapError(fmt.Sprintf("put part %d of", number), key, err)
	}
	return part{number: number, size: size, etag: aws.ToString(out.ETag), sum: sum, summed: true}, nil
}

// copyPart stores n bytes of another object, from offset on, as a part. S3 copies them;
// they do not pass through this process.
func (c *client) copyPart(ctx context.Context, key, uploadID string, number int32, from string, offset, n int64) (part, error) {
	out, err := c.s3.UploadPartCopy(ctx, &awss3.UploadPartCopyInput{
		Bucket: c.bucket, Key: &key, UploadId: &uploadID, PartNumber: &number,
		CopySource:      aws.String(copySource(*c.bucket, from)),
		CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", offset, offset+n-1)),
	})
	if err != nil {
		return part{}, mapError(fmt.Sprintf("copy part %d of", number), key, err)
	}
	p := part{number: number, size: n, etag: aws.ToString(out.CopyPartResult.ETag)}
	p.sum, p.summed = parseChecksum(aws.ToString(out.CopyPartResult.ChecksumCRC32C))
	return p, nil
}

// noChecksums is the checksum algorithm that versitygw reports for a multipart upload
// created without checksums.
const noChecksums = "null"

// parts yields the stored parts of a multipart upload. It yields errRecreated before those of
// a multipart upload that S3 reports to have no checksums: if it was created with checksums,
// then a part that arrived during its completion has recreated it, with that part alone.
func (c *client) parts(ctx context.Context, key, uploadID string) iter.Seq2[part, error] {
	return func(yield func(part, error) bool) {
		pages := awss3.NewListPartsPaginator(c.s3, &awss3.ListPartsInput{Bucket: c.bucket, Key: &key, UploadId: &uploadID})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(part{}, mapError("list parts of", key, err))
				return
			}
			if page.ChecksumAlgorithm == noChecksums && !yield(part{}, errRecreated) {
				return
			}
			ahead := c.ahead(page.ResultMetadata)
			for _, p := range page.Parts {
				found := part{number: *p.PartNumber, size: aws.ToInt64(p.Size), etag: aws.ToString(p.ETag), stored: aws.ToTime(p.LastModified).Add(ahead)}
				found.sum, found.summed = parseChecksum(aws.ToString(p.ChecksumCRC32C))
				if !yield(found, nil) {
					return
				}
			}
		}
	}
}

// complete completes the multipart upload, unless the object exists. If the checksums of
// all parts are known, S3 also verifies that of the whole object.
//
// A nil error does not mean that the object exists: of two concurrent requests, some S3
// servers answer the second with success while they still work on the first.
func (c *client) complete(ctx context.Context, key, uploadID string, parts []part) error {
	in := &awss3.CompleteMultipartUploadInput{Bucket: c.bucket, Key: &key, UploadId: &uploadID, IfNoneMatch: aws.String("*")}
	list := make([]types.CompletedPart, len(parts))
	var whole checksum
	summed := c.checksums
	for i := range parts {
		p := &parts[i]
		list[i] = types.CompletedPart{PartNumber: &p.number, ETag: &p.etag}
		if c.checksums && p.summed {
			list[i].ChecksumCRC32C = aws.String(p.sum.String())
		}
		summed = summed && p.summed
		whole = whole.Join(p.sum, p.size)
	}
	if summed {
		in.ChecksumCRC32C, in.ChecksumType = aws.String(whole.String()), types.ChecksumTypeFullObject
	}
	in.MultipartUpload = &types.CompletedMultipartUpload{Parts: list}
	_, err := c.s3.CompleteMultipartUpload(ctx, in)
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "NotImplemented" {
		in.IfNoneMatch = nil // the caller has checked for an existing object, which must do
		_, err = c.s3.CompleteMultipartUpload(ctx, in)
	}
	return mapError("complete", key, err)
}

// abort removes a multipart upload with all its parts. It returns nil if there is none.
func (c *client) abort(ctx context.Context, key, uploadID string) error {
	_, err := c.s3.AbortMultipartUpload(ctx, &awss3.AbortMultipartUploadInput{Bucket: c.bucket, Key: &key, UploadId: &uploadID})
	if err = mapError("abort", key, err); err == errNoUpload || err == errMissing {
		return nil
	}
	return err
}

// begun is an incomplete multipart upload in a listing.
type begun struct {
	key, uploadID string
	at            time.Time // by this process's clock
}

// multiparts yields the multipart uploads whose keys begin with prefix.
func (c *client) multiparts(ctx context.Context, prefix string) iter.Seq2[begun, error] {
	return func(yield func(begun, error) bool) {
		in := &awss3.ListMultipartUploadsInput{Bucket: c.bucket, Prefix: &prefix}
		for {
			page, err := c.s3.ListMultipartUploads(ctx, in)
			if err != nil {
				yield(begun{}, mapError("list multipart uploads of", prefix, err))
				return
			}
			ahead := c.ahead(page.ResultMetadata)
			for _, u := range page.Uploads {
				if !yield(begun{*u.Key, *u.UploadId, aws.ToTime(u.Initiated).Add(ahead)}, nil) {
					return
				}
			}
			if !aws.ToBool(page.IsTruncated) {
				return
			}
			in.KeyMarker, in.UploadIdMarker = page.NextKeyMarker, page.NextUploadIdMarker
		}
	}
}
