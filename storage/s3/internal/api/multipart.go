package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// Part is a stored part of a multipart upload.
type Part struct {
	Number int32
	Size   int64
	etag   string
	sum    crc32c.Sum
	summed bool      // whether sum is known
	Stored time.Time // by this process's clock
}

// Tag returns the part's ETag and checksum as stored in Extent.Meta.
func (p Part) Tag() string {
	if !p.summed {
		return p.etag
	}
	return p.etag + ";" + p.sum.String()
}

// ParseTag sets the ETag and checksum from a Tag.
func (p *Part) ParseTag(tag string) {
	etag, sum, _ := strings.Cut(tag, ";")
	p.etag = etag
	p.sum, p.summed = crc32c.Parse(sum)
}

// Begin creates a multipart upload for the object described by o.
func (c *Client) Begin(ctx context.Context, o Object) (uploadID string, err error) {
	in := &awss3.CreateMultipartUploadInput{
		Bucket: c.bucket, Key: &o.Key, Metadata: o.Metadata,
		ContentType: notEmpty(o.ContentType), ContentDisposition: notEmpty(o.Disposition),
		StorageClass: types.StorageClass(o.Class), ServerSideEncryption: c.sse, SSEKMSKeyId: c.sseKey,
	}
	if c.Can.Sums != SumsOff {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32c
	}
	if c.Can.Sums == SumsWhole {
		in.ChecksumType = types.ChecksumTypeFullObject
	}
	out, err := c.sdk.CreateMultipartUpload(ctx, in)
	if err != nil {
		return "", mapError("begin", o.Key, err)
	}
	return *out.UploadId, nil
}

// PutPart stores a part.
func (c *Client) PutPart(ctx context.Context, key, uploadID string, number int32, body io.ReadSeeker, size int64, sum crc32c.Sum) (Part, error) {
	in := &awss3.UploadPartInput{
		Bucket: c.bucket, Key: &key, UploadId: &uploadID, PartNumber: &number, Body: body, ContentLength: &size,
	}
	in.ChecksumCRC32C, in.ChecksumAlgorithm = c.crc(sum)
	out, err := c.sdk.UploadPart(ctx, in, unsigned)
	if err != nil {
		return Part{}, mapError(fmt.Sprintf("put part %d of", number), key, err)
	}
	return Part{Number: number, Size: size, etag: aws.ToString(out.ETag), sum: sum, summed: true}, nil
}

// CopyPart stores n bytes of another object, from offset on, as a part. S3 copies them;
// they do not pass through this process.
func (c *Client) CopyPart(ctx context.Context, key, uploadID string, number int32, from string, offset, n int64) (Part, error) {
	out, err := c.sdk.UploadPartCopy(ctx, &awss3.UploadPartCopyInput{
		Bucket: c.bucket, Key: &key, UploadId: &uploadID, PartNumber: &number,
		CopySource:      aws.String(copySource(*c.bucket, from)),
		CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", offset, offset+n-1)),
	})
	if err != nil {
		return Part{}, mapError(fmt.Sprintf("copy part %d of", number), key, err)
	}
	p := Part{Number: number, Size: n, etag: aws.ToString(out.CopyPartResult.ETag)}
	p.sum, p.summed = crc32c.Parse(aws.ToString(out.CopyPartResult.ChecksumCRC32C))
	return p, nil
}

// copySource returns the value of x-amz-copy-source for an object.
func copySource(bucket, key string) string {
	return bucket + "/" + strings.ReplaceAll(url.PathEscape(key), "%2F", "/")
}

// noChecksums is the checksum algorithm that versitygw reports for a multipart upload
// created without checksums.
const noChecksums = "null"

// Parts yields the stored parts of a multipart upload. It yields ErrRecreated before those of
// a multipart upload that S3 reports to have no checksums: if it was created with checksums,
// then a part that arrived during its completion has recreated it, with that part alone.
func (c *Client) Parts(ctx context.Context, key, uploadID string) iter.Seq2[Part, error] {
	return func(yield func(Part, error) bool) {
		pages := awss3.NewListPartsPaginator(c.sdk, &awss3.ListPartsInput{Bucket: c.bucket, Key: &key, UploadId: &uploadID})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Part{}, mapError("list parts of", key, err))
				return
			}
			if page.ChecksumAlgorithm == noChecksums && !yield(Part{}, ErrRecreated) {
				return
			}
			ahead := c.ahead(page.ResultMetadata)
			for _, p := range page.Parts {
				found := Part{Number: *p.PartNumber, Size: aws.ToInt64(p.Size), etag: aws.ToString(p.ETag), Stored: aws.ToTime(p.LastModified).Add(ahead)}
				found.sum, found.summed = crc32c.Parse(aws.ToString(p.ChecksumCRC32C))
				if !yield(found, nil) {
					return
				}
			}
		}
	}
}

// Complete completes the multipart upload, unless the object exists: then it returns
// ErrTaken. If the checksums of all parts are known, S3 also verifies that of the whole object.
//
// A nil error does not mean that the object exists: of two concurrent requests, some S3
// servers answer the second with success while they still work on the first.
func (c *Client) Complete(ctx context.Context, key, uploadID string, parts []Part) error {
	in := &awss3.CompleteMultipartUploadInput{Bucket: c.bucket, Key: &key, UploadId: &uploadID}
	if c.Can.CompleteIfAbsent {
		in.IfNoneMatch = aws.String("*")
	} else if err := c.decideAbsent(ctx, key, uploadID); err != nil {
		return err
	}
	c.addParts(in, parts)
	_, err := c.sdk.CompleteMultipartUpload(ctx, in)
	return mapError("complete", key, err)
}

// addParts adds the parts to in, and the checksum of them all.
func (c *Client) addParts(in *awss3.CompleteMultipartUploadInput, parts []Part) {
	list := make([]types.CompletedPart, len(parts))
	var whole crc32c.Sum
	summed := c.Can.Sums == SumsWhole
	for i := range parts {
		p := &parts[i]
		list[i] = types.CompletedPart{PartNumber: &p.Number, ETag: &p.etag}
		if c.Can.Sums != SumsOff && p.summed {
			list[i].ChecksumCRC32C = aws.String(p.sum.String())
		}
		summed = summed && p.summed
		whole = whole.Join(p.sum, p.Size)
	}
	if summed {
		in.ChecksumCRC32C, in.ChecksumType = aws.String(whole.String()), types.ChecksumTypeFullObject
	}
	in.MultipartUpload = &types.CompletedMultipartUpload{Parts: list}
}

// Abort removes a multipart upload with all its parts. It returns nil if there is none.
func (c *Client) Abort(ctx context.Context, key, uploadID string) error {
	_, err := c.sdk.AbortMultipartUpload(ctx, &awss3.AbortMultipartUploadInput{Bucket: c.bucket, Key: &key, UploadId: &uploadID})
	if err = mapError("abort", key, err); err == ErrNoUpload || err == ErrMissing {
		return nil
	}
	return err
}

// Begun is an incomplete multipart upload in a listing.
type Begun struct {
	Key, UploadID string
	At            time.Time // by this process's clock
}

// Multiparts yields the multipart uploads whose keys begin with prefix: none if the server
// can't list them.
func (c *Client) Multiparts(ctx context.Context, prefix string) iter.Seq2[Begun, error] {
	return func(yield func(Begun, error) bool) {
		in := &awss3.ListMultipartUploadsInput{Bucket: c.bucket, Prefix: &prefix}
		for c.Can.ListMultiparts {
			page, err := c.sdk.ListMultipartUploads(ctx, in)
			if err = mapError("list multipart uploads of", prefix, err); errors.Is(err, ErrMissing) || errors.Is(err, ErrNoUpload) {
				return // so some servers say that there are none
			}
			if err != nil {
				yield(Begun{}, err)
				return
			}
			ahead := c.ahead(page.ResultMetadata)
			for _, u := range page.Uploads {
				if !yield(Begun{*u.Key, *u.UploadId, aws.ToTime(u.Initiated).Add(ahead)}, nil) {
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
