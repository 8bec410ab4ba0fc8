package problem

import (
	"errors"
	"fmt"
)

// Errors of requests. Those of uploads are in package storage.
var (
	// ErrShuttingDown means that the server is shutting down and aborted the body.
	ErrShuttingDown = errors.New("the server is shutting down")
	// ErrIdleTimeout means that the client sent nothing for the idle timeout.
	ErrIdleTimeout = errors.New("idle timeout: the client stopped sending")
	// ErrSuperseded means that a newer request for the same upload took over.
	ErrSuperseded = errors.New("superseded by another request")
	// ErrUnauthenticated means that the request has no valid credentials.
	ErrUnauthenticated = errors.New("a token or a ticket is required")
	// ErrRateLimited means that the client has to wait; see RetryAfterError.
	ErrRateLimited = errors.New("rate limit exceeded")
	// ErrHookUnavailable means that the app did not give a valid response to a hook.
	ErrHookUnavailable = errors.New("the app did not answer a hook")
	// ErrOffset means that the client continues an upload beyond the bytes that were received.
	ErrOffset = errors.New("offset mismatch")
	// ErrAuthUnavailable means that the credentials cannot be verified now.
	ErrAuthUnavailable = errors.New("authentication temporarily unavailable")
	// ErrMethod means that the method is not supported here.
	ErrMethod = errors.New("method not allowed")
	// ErrOrigin means that CORS allows no uploads by the web page that asks for them.
	ErrOrigin = errors.New("web pages of this origin may not upload")
	// ErrMediaType means that the Content-Type of the body is not supported.
	ErrMediaType = errors.New("unsupported media type")
	// ErrDigest means that the body does not match a digest given by the client.
	ErrDigest = errors.New("digest mismatch: the body does not match the digest")
	// ErrChecksum is an ErrDigest for Upload-Checksum, which has its own status in tus.
	ErrChecksum = fmt.Errorf("%w in Upload-Checksum", ErrDigest)
)
