package tus

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"

	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/storage"
)

// exchange is one request and its answer. It is the ResponseWriter that tusd
// gets, and travels in the context to what tusd calls.
type response struct {
	http.ResponseWriter
	r       *http.Request
	handler *Handler
	body    *hooks.Body

	upload      storage.Upload            // as last seen in this request
	found       map[string]handler.Upload // a concatenation may name a part more than once
	wroteHeader bool
	// retryAfter is for an answer that asks to come back.
	retryAfter string
}

type responseKey struct{}

func responseFrom(ctx context.Context) *response {
	return ctx.Value(responseKey{}).(*response)
}

// reads tells whether the request only looks at the upload.
func (x *response) reads() bool {
	return x.r.Method == http.MethodHead || x.r.Method == http.MethodGet
}

// resumes reports whether the request is one of a client that goes on with an upload.
// Where that is gone it is answered 404: some clients, tus-java-client for one, begin
// anew only then, and give up on 410.
func (x *response) resumes() bool { return x.reads() || x.r.Method == http.MethodPatch }

// cut is why somebody ended the body before its client did, or did not take it, nil if
// nobody has.
func (x *response) abort() error {
	if err := x.body.Refused(); err != nil {
		return err
	}
	err := x.body.Err()
	for _, why := range []error{hooks.ErrIdleTimeout, hooks.ErrShuttingDown, hooks.ErrSuperseded, hooks.ErrRateLimited} {
		if errors.Is(err, why) {
			return err
		}
	}
	return nil
}

// WriteHeader completes the answer that tusd has decided on.
func (x *response) WriteHeader(status int) {
	if x.wroteHeader || status < 200 {
		x.ResponseWriter.WriteHeader(status)
		return
	}
	x.wroteHeader = true
	if x.r.Method == http.MethodHead && status >= 500 {
		// tus-js-client, for one, begins again from byte 0 after anything but 423.
		status = http.StatusLocked
	}
	h := x.Header()
	switch status {
	case http.StatusLocked, http.StatusServiceUnavailable, http.StatusInsufficientStorage, http.StatusTooManyRequests:
		h.Set("Retry-After", cmp.Or(x.retryAfter, hooks.RetryAfter))
	case http.StatusPreconditionFailed: // tus 1.0, section Tus-Version
		h.Set("Tus-Version", version)
	}
	if status == http.StatusCreated && x.upload.ID != "" {
		h.Set("Location", x.handler.opts.TicketedURL(x.r, x.upload))
	}
	if at := x.handler.uploads.Expires(x.upload); x.upload.ID != "" && !at.IsZero() && status < 300 {
		h.Set("Upload-Expires", at.UTC().Format(http.TimeFormat))
	}
	if x.reads() && status < 300 {
		hooks.SetReprDigest(h, x.r, x.upload)
	}
	if status >= 400 {
		x.body.DrainOrClose(x, x.r)
	} else {
		x.body.Drain(x.r)
	}
	// Whatever was waited for, the client gets time to take the answer.
	_ = http.NewResponseController(x.ResponseWriter).SetWriteDeadline(time.Now().Add(max(x.handler.opts.IdleTimeout, time.Second)))
	x.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (x *response) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// refuse answers with an error that tusd has not seen.
func (x *response) reject(err error) {
	var e handler.Error
	if !errors.As(x.fromError(err), &e) {
		panic(err) // explain makes nothing else
	}
	h := x.Header()
	h.Set("Tus-Resumable", version)
	h.Set("Content-Length", strconv.Itoa(len(e.HTTPResponse.Body)))
	for key, value := range e.HTTPResponse.Header {
		h.Set(key, value)
	}
	x.WriteHeader(e.HTTPResponse.StatusCode)
	if x.r.Method != http.MethodHead {
		_, _ = x.ResponseWriter.Write([]byte(e.HTTPResponse.Body)) // a client that is gone asks again
	}
}

// explain turns an error of the core into one that tusd can answer with.
func (x *response) fromError(err error) error {
	var e handler.Error
	var refusal *hooks.Rejection
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal):
		return rejected(x.r, refusal)
	case errors.As(err, &e):
		return e
	case errors.Is(err, hooks.ErrChecksum):
		return errChecksum
	case errors.Is(err, storage.ErrNotFound), errors.Is(err, storage.ErrGone) && x.resumes():
		return handler.ErrNotFound
	case errors.Is(err, storage.ErrLocked):
		return handler.ErrFileLocked
	}
	p := hooks.FromError(x.r, x.handler.opts.Log, err)
	x.retryAfter = p.RetryAfter
	return handler.NewError(p.Code, p.Message, p.Status)
}

// refused is a refusal of the app as tusd has it.
func rejected(request *http.Request, r *hooks.Rejection) handler.Error {
	status, header, body := r.Response(request.Context())
	return handler.Error{ErrorCode: "ERR_UPLOAD_REJECTED", Message: r.Error(),
		HTTPResponse: handler.HTTPResponse{StatusCode: status, Header: header, Body: body}}
}
