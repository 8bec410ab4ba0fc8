package api

import (
	"context"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
)

// Presign returns a URL at which anyone can fetch an object for the given time. endpoint is
// the URL by which clients reach S3, "" for the one that this client uses.
func (c *Client) Presign(ctx context.Context, key string, ttl time.Duration, endpoint string) (string, error) {
	presigner := awss3.NewPresignClient(c.sdk, awss3.WithPresignExpires(ttl), awss3.WithPresignClientFromClientOptions(func(o *awss3.Options) {
		if endpoint != "" {
			o.BaseEndpoint = &endpoint
		}
	}))
	link, err := presigner.PresignGetObject(ctx, &awss3.GetObjectInput{Bucket: c.bucket, Key: &key})
	if err != nil {
		return "", err
	}
	return link.URL, nil
}
