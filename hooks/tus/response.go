package tus

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

// response is the state of a request to tusd. It is in the State of the Exchange, for the
// store and the locker, to which tusd passes only a context.
type response struct {
	w       http.ResponseWriter
	r       *http.Request
	handler *Handler
	body    *transport.Body

	upload     storage.Upload            // the latest state loaded in this request
	found      map[string]handler.Upload // by id: a concatenation may name a part more than once
	retryAfter string                    // for a temporary error; "" means problem.RetryAfter
}

func responseFrom(ctx context.Context) *response {
	return protocol.ExchangeOf(ctx).State.(*response)
}

// reads reports whether the request does not change the upload.
func (x *response) reads() bool {
	return x.r.Method == http.MethodHead || x.r.Method == http.MethodGet
}

// abortCause returns why the server rejected the body or stopped reading it, nil if it
// did not.
func (x *response) abortCause() error {
	if err := x.body.Refused(); err != nil {
		return err
	}
	err := x.body.Err()
	for _, cause := range []error{problem.ErrIdleTimeout, problem.ErrShuttingDown, problem.ErrSuperseded, problem.ErrRateLimited} {
		if errors.Is(err, cause) {
			return err
		}
	}
	return nil
}

// beforeHeader adds what tusd's responses lack, and returns the status to send.
func (x *response) beforeHeader(status int) int {
	if x.r.Method == http.MethodHead && status >= 500 {
		// After any other error, clients such as tus-js-client restart at byte 0.
		status = http.StatusLocked
	}
	h := x.w.Header()
	switch status {
	case http.StatusLocked, http.StatusServiceUnavailable, http.StatusInsufficientStorage, http.StatusTooManyRequests:
		h.Set("Retry-After", cmp.Or(x.retryAfter, problem.RetryAfter))
	case http.StatusPreconditionFailed: // tus 1.0, section Tus-Version
		h.Set("Tus-Version", version)
	}
	if status == http.StatusCreated && x.upload.ID != "" {
		h.Set("Location", x.handler.opts.ContinueURL(x.r, x.upload))
	}
	if at := x.handler.uploads.Expires(x.upload); x.upload.ID != "" && !at.IsZero() && status < 300 {
		h.Set("Upload-Expires", at.UTC().Format(http.TimeFormat))
	}
	if strings.HasPrefix(h.Get("Upload-Concat"), "final;") {
		h.Set("Upload-Concat", x.handler.opts.URLs.Concatenation(x.r, x.upload))
	}
	if x.reads() && status < 300 {
		transport.SetReprDigest(h, x.r, x.upload)
	}
	if status >= 400 {
		x.body.DrainOrClose(x.w, x.r)
	} else {
		x.body.Drain(x.r)
	}
	// However long the request took, the client gets time to read the response.
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(max(x.handler.opts.IdleTimeout, time.Second)))
	return status
}

// reject writes the response for an error that occurred before tusd was called.
func (x *response) reject(err error) {
	var e handler.Error
	if !errors.As(x.fromError(err), &e) {
		panic(err) // fromError returns nothing else
	}
	h := x.w.Header()
	h.Set("Tus-Resumable", version)
	h.Set("Content-Length", strconv.Itoa(len(e.HTTPResponse.Body)))
	for key, value := range e.HTTPResponse.Header {
		h.Set(key, value)
	}
	x.w.WriteHeader(e.HTTPResponse.StatusCode)
	if x.r.Method != http.MethodHead {
		_, _ = x.w.Write([]byte(e.HTTPResponse.Body)) // a client that has disconnected retries
	}
}

// fromError converts an error of the core into a handler.Error, whose response tusd sends.
func (x *response) fromError(err error) error {
	var e handler.Error
	var rejection *problem.Rejection
	switch {
	case err == nil:
		return nil
	case errors.As(err, &rejection):
		return rejected(x.r, rejection)
	case errors.As(err, &e):
		return e
	}
	p := protocol.FromError(x.r, x.handler.opts.Log, err)
	x.retryAfter = p.RetryAfter
	switch p.Status {
	case errChecksum.HTTPResponse.StatusCode:
		return errChecksum
	case http.StatusNotFound:
		return handler.ErrNotFound
	case http.StatusLocked:
		return handler.ErrFileLocked
	}
	return handler.NewError(p.Code, p.Message, p.Status)
}

// rejected converts a rejection by the app into a handler.Error.
func rejected(request *http.Request, r *problem.Rejection) handler.Error {
	status, header, body := protocol.AppRejection(request, r)
	return handler.Error{ErrorCode: "ERR_UPLOAD_REJECTED", Message: r.Error(),
		HTTPResponse: handler.HTTPResponse{StatusCode: status, Header: header, Body: body}}
}
