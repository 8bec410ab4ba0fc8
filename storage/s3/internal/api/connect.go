package api

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
	// maxAttempts is how often a request is sent before its error is returned to the
	// client, which then retries itself.
	maxAttempts = 4
	// ResponseTimeout is how long S3 may take to begin a response, or to accept the next
	// bytes of a request.
	ResponseTimeout = time.Minute
)

// Options say how to reach a bucket, and with what properties objects are stored.
type Options struct {
	Bucket       string
	Endpoint     string // "" means Amazon S3
	Region       string
	PathStyle    bool // put the bucket name into the path of URLs, not the host
	CreateBucket bool // create the bucket if it does not exist

	Encryption, EncryptionKey string // "" means the bucket's default

	Middleware   func(http.RoundTripper) http.RoundTripper // wraps the transport if not nil
	LongestPause time.Duration                             // the longest backoff between two attempts of a request
	Patience     time.Duration                             // how long S3 may take to send the next bytes of a response
	Timeout      time.Duration                             // how long an operation may take, with all attempts; see timeLimit
	Now          func() time.Time                          // this process's clock
}

// Connect returns a client of the bucket, which must exist or be created. Credentials are
// found as the SDK finds them: environment, shared files, container and instance roles.
func Connect(ctx context.Context, opts Options) (*Client, error) {
	sdk, err := newSDK(ctx, opts)
	if err != nil {
		return nil, err
	}
	c := &Client{
		Can: AllAbilities, Arbiter: new(MemoryArbiter), sdk: sdk, bucket: &opts.Bucket, now: opts.Now,
		sse: types.ServerSideEncryption(opts.Encryption), sseKey: notEmpty(opts.EncryptionKey),
	}
	return c, c.bucketIsThere(ctx, opts)
}

// newSDK returns the SDK's client.
func newSDK(ctx context.Context, opts Options) (*awss3.Client, error) {
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = 256
		t.MaxIdleConns = 512
		t.ResponseHeaderTimeout = ResponseTimeout
		t.DialContext = withDeadline(t.DialContext)
	})
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(client), config.WithRetryer(opts.retryer))
	if err != nil {
		return nil, fmt.Errorf("set up S3: %w", err)
	}
	var rt http.RoundTripper = transport{cfg.HTTPClient}
	if opts.Middleware != nil {
		rt = opts.Middleware(rt)
	}
	cfg.HTTPClient = sender{plainBody{stallGuard{rt, opts.Patience}}}
	if opts.Region != "" {
		cfg.Region = opts.Region
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	return awss3.NewFromConfig(cfg, func(o *awss3.Options) {
		o.UsePathStyle = opts.PathStyle
		o.APIOptions = append(o.APIOptions, timeLimit(opts.Timeout).add)
		if opts.Endpoint != "" {
			o.BaseEndpoint = &opts.Endpoint
		}
		// The store computes the checksums itself.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.DisableLogOutputChecksumValidationSkipped = true
	}), nil
}

// sender adapts a RoundTripper to the SDK's HTTPClient, and transport the reverse, so that
// the SDK's own client and its handling of certificates and redirects are kept.
type (
	sender    struct{ http.RoundTripper }
	transport struct{ aws.HTTPClient }
)

func (s sender) Do(r *http.Request) (*http.Response, error) { return s.RoundTrip(r) }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t.Do(r) }

// retryer is the retry policy of all S3 requests. It has no token bucket, with which the
// failures of one minute would fail requests of the next.
func (opts Options) retryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = opts.LongestPause
		o.RateLimiter = ratelimit.None
		// Concurrent conditional writes, of which neither may have succeeded.
		o.Retryables = append(o.Retryables, retry.RetryableErrorCode{Codes: map[string]struct{}{
			"ConditionalRequestConflict": {}, "OperationAborted": {},
			// From an S3 server on a file system that has just removed an empty directory.
			"ExistingObjectIsDirectory": {},
		}})
	})
}

type dial = func(ctx context.Context, network, addr string) (net.Conn, error)

// withDeadline makes connections fail when the peer accepts no bytes for responseTimeout:
// a request without a deadline, such as a large part, would block for ever.
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
	if err := c.SetWriteDeadline(time.Now().Add(ResponseTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// HeadBucket returns nil if the bucket exists and can be reached.
func (c *Client) HeadBucket(ctx context.Context) error {
	_, err := c.sdk.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: c.bucket})
	return mapError("find the bucket", *c.bucket, err)
}

// bucketIsThere checks that the bucket exists, and creates it if opts allow that.
func (c *Client) bucketIsThere(ctx context.Context, opts Options) error {
	err := c.HeadBucket(ctx)
	if err == nil {
		return nil
	}
	if Status(err) == http.StatusForbidden {
		return c.denied(ctx)
	}
	if !errors.Is(err, ErrMissing) {
		return fmt.Errorf("S3: %w", err)
	}
	if !opts.CreateBucket {
		return fmt.Errorf("S3: bucket %q does not exist at %s", opts.Bucket, opts.Endpoint)
	}
	in := &awss3.CreateBucketInput{Bucket: c.bucket}
	if opts.Region != "" && opts.Region != "us-east-1" {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(opts.Region)}
	}
	_, err = c.sdk.CreateBucket(ctx, in)
	var owned *types.BucketAlreadyOwnedByYou // another node has just created it
	if errors.As(err, &owned) {
		return nil
	}
	return storage.Unavailable("create the bucket", opts.Bucket, err)
}
