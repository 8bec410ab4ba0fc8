package s3

import (
	"context"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/holdfast-upload/holdfast/storage"
)

// Link implements storage.Linker. S3 serves the file with the content type and disposition
// that were stored with it. Without a PresignTTL the link is empty.
func (s *Store) Link(ctx context.Context, up storage.Upload) (string, error) {
	if s.opts.PresignTTL <= 0 {
		return "", nil
	}
	presign := awss3.NewPresignClient(s.client.s3, awss3.WithPresignExpires(s.opts.PresignTTL), awss3.WithPresignClientFromClientOptions(s.public))
	key := s.fileKey(up.Record)
	link, err := presign.PresignGetObject(ctx, &awss3.GetObjectInput{Bucket: s.client.bucket, Key: &key})
	if err != nil {
		return "", storage.Unavailable("presign the URL of", up.ID, err)
	}
	return link.URL, nil
}

// public sets the endpoint by which clients reach S3.
func (s *Store) public(o *awss3.Options) {
	if s.opts.PublicEndpoint != "" {
		o.BaseEndpoint = &s.opts.PublicEndpoint
	}
}
