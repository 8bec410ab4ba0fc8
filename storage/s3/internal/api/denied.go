package api

import (
	"cmp"
	"context"
	"fmt"
)

// denied returns the error for a bucket that S3 denies access to. The response to HeadBucket
// has no error code, so that of a listing is taken.
func (c *Client) denied(ctx context.Context) error {
	code := ""
	for _, err := range c.Pages(ctx, "") {
		code = Code(err)
		break
	}
	advice := "the credentials need s3:ListBucket on the bucket"
	switch code {
	case "InvalidAccessKeyId", "SignatureDoesNotMatch":
		advice = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what stands for them, are not those of this server"
	case "RequestTimeTooSkewed":
		advice = "the clocks of this machine and of the server differ by too much"
	case "AuthorizationHeaderMalformed":
		advice = "--s3-region is not that of the bucket"
	}
	return fmt.Errorf("S3 denies access to bucket %q (%s): %s", *c.bucket, cmp.Or(code, "403"), advice)
}
