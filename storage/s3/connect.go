package s3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/holdfast-upload/holdfast/storage"
)

const (
	// tries is how often a request is sent before its failure is the client's to
	// know, who then tries again himself.
	maxAttempts = 4
	// patience is how long S3 may take to begin an answer, or to take the next few
	// bytes of a request.
	responseTimeout = time.Minute
)

// connect returns the SDK's client, with credentials found as the SDK finds them:
// environment, shared files, container and instance roles.
func connect(ctx context.Context, opts Options) (*awss3.Client, error) {
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = 256
		t.MaxIdleConns = 512
		t.ResponseHeaderTimeout = responseTimeout
		t.DialContext = withDeadline(t.DialContext)
	})
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(client), config.WithRetryer(opts.retryer))
	if err != nil {
		return nil, fmt.Errorf("set up S3: %w", err)
	}
	var sends http.RoundTripper = transport{cfg.HTTPClient}
	if opts.Middleware != nil {
		sends = opts.Middleware(sends)
	}
	cfg.HTTPClient = sender{stallGuard{sends, opts.patience}}
	if opts.Region != "" {
		cfg.Region = opts.Region
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	return awss3.NewFromConfig(cfg, func(o *awss3.Options) {
		o.UsePathStyle = opts.PathStyle
		if opts.Endpoint != "" {
			o.BaseEndpoint = &opts.Endpoint
		}
		// The store computes the one checksum that is needed itself.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.DisableLogOutputChecksumValidationSkipped = true
	}), nil
}

// sender and transport make an SDK's client of a RoundTripper, and the other way round:
// what the SDK's own client knows of certificates and redirects is kept.
type (
	sender    struct{ http.RoundTripper }
	transport struct{ aws.HTTPClient }
)

func (s sender) Do(r *http.Request) (*http.Response, error) { return s.RoundTrip(r) }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t.Do(r) }

// retryer is the one policy by which S3 requests are tried again. No token bucket
// limits it: that would make one bad minute fail requests of the next.
func (opts Options) retryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = opts.longestPause
		o.RateLimiter = ratelimit.None
		// Two conditional writes at once: neither may have happened.
		o.Retryables = append(o.Retryables, retry.RetryableErrorCode{Codes: map[string]struct{}{
			"ConditionalRequestConflict": {}, "OperationAborted": {},
			// An S3 over a file system whose directory was just removed, as it had become empty.
			"ExistingObjectIsDirectory": {},
		}})
	})
}

type dial = func(ctx context.Context, network, addr string) (net.Conn, error)

// impatient makes connections fail when the other side takes no bytes for long: a
// request without a deadline, as that of a large part is, would wait for ever.
func withDeadline(next dial) dial {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return deadlineConn{conn}, nil
	}
}

type deadlineConn struct{ net.Conn }

// Write implements io.Writer.
func (c deadlineConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(responseTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *client) headBucket(ctx context.Context) error {
	_, err := c.s3.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: c.bucket})
	return mapError("find the bucket", *c.bucket, err)
}

func (c *client) bucketIsThere(ctx context.Context, opts Options) error {
	err := c.headBucket(ctx)
	if err == nil {
		return nil
	}
	if !errors.Is(err, errMissing) {
		return fmt.Errorf("S3: %w", err)
	}
	if !opts.CreateBucket {
		return fmt.Errorf("S3: there is no bucket %q at %s", opts.Bucket, opts.Endpoint)
	}
	in := &awss3.CreateBucketInput{Bucket: c.bucket}
	if opts.Region != "" && opts.Region != "us-east-1" {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(opts.Region)}
	}
	_, err = c.s3.CreateBucket(ctx, in)
	var owned *types.BucketAlreadyOwnedByYou // another node made it just now
	if errors.As(err, &owned) {
		return nil
	}
	return storage.Unavailable("create the bucket", opts.Bucket, err)
}
