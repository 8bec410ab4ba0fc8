package api

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"github.com/holdfast-upload/holdfast/storage"
)

// smallObject is the size in bytes up to which a put has a time limit.
const smallObject = 64 << 10

// mayBeSlow reports whether an operation may take as long as all its attempts: it carries an
// upload's bytes, or S3 responds only when it has copied or combined them. ResponseTimeout
// bounds each attempt.
func mayBeSlow(operation string, in any) bool {
	if put, ok := in.(*awss3.PutObjectInput); ok {
		return aws.ToInt64(put.ContentLength) > smallObject
	}
	return slices.Contains([]string{"UploadPart", "UploadPartCopy", "CompleteMultipartUpload"}, operation)
}

// timeLimit limits how long an operation may take until its response begins, with all of its
// attempts. Reading the body of a response has a limit of its own; see stallGuard.
type timeLimit time.Duration

// add adds the limit to the steps of an operation.
func (l timeLimit) add(stack *middleware.Stack) error {
	return stack.Initialize.Add(l, middleware.After)
}

// ID implements middleware.InitializeMiddleware.
func (timeLimit) ID() string { return "TimeLimit" }

// HandleInitialize implements middleware.InitializeMiddleware.
func (l timeLimit) HandleInitialize(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
	out middleware.InitializeOutput, metadata middleware.Metadata, err error,
) {
	operation := awsmiddleware.GetOperationName(ctx)
	if mayBeSlow(operation, in.Parameters) {
		return next.HandleInitialize(ctx, in)
	}
	ctx, cancel := context.WithCancel(ctx)
	var expired atomic.Bool
	timer := time.AfterFunc(time.Duration(l), func() {
		expired.Store(true)
		cancel()
	})
	out, metadata, err = next.HandleInitialize(ctx, in)
	timer.Stop()
	if err != nil || operation != "GetObject" { // whose body is still to be read
		cancel()
	}
	if err != nil && expired.Load() {
		err = timeoutError{operation, time.Duration(l)}
	}
	return out, metadata, err
}

// timeoutError means that S3 did not respond in time. It is transient.
type timeoutError struct {
	operation string
	limit     time.Duration
}

// Error implements error.
func (e timeoutError) Error() string {
	return fmt.Sprintf("S3 has not responded to %s within %s", e.operation, e.limit)
}

// Unwrap returns ErrUnavailable rather than the cause, which is context.Canceled: no caller
// has cancelled the request.
func (e timeoutError) Unwrap() error { return storage.ErrUnavailable }

// Timeout reports true, as that of a net.Error.
func (e timeoutError) Timeout() bool { return true }
