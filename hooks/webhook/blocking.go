package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"
	tusd "github.com/tus/tusd/v2/pkg/hooks"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/tracing"
)

// blockingRetryPause is the time before the first retry; it doubles for the next one.
const blockingRetryPause = 300 * time.Millisecond

// reply is the app's response to a hook: tusd's fields, and those that holdfast adds.
type reply struct {
	tusd.HookResponse
	MaxSize     int64 // pre-create: limit of this upload in bytes, 0 for no further limit; it only lowers others
	ExpireAfter int64 // pre-create: expiry of this upload in seconds, 0 for the server's
}

// beforeCreate calls pre-create, with which the app may reject or change a new upload.
func (a *Webhooks) beforeCreate(ctx context.Context, rec *storage.Record) error {
	up := storage.Upload{Record: *rec}
	if !rec.ClientChosenID {
		up.ID = "" // as in tusd: the app may still choose it
	}
	r, err := a.callBlocking(ctx, tusd.HookPreCreate, rec.ID, up)
	if err != nil {
		return err
	}
	if r.RejectUpload {
		return rejection(r.HTTPResponse)
	}
	if err := r.change(rec); err != nil {
		return err
	}
	override(ctx, r.HTTPResponse)
	return nil
}

// beforeFinish calls pre-finish, with which the app may reject an upload that has all its
// bytes.
func (a *Webhooks) beforeFinish(ctx context.Context, up storage.Upload) error {
	if up.Partial {
		return nil // only the final upload becomes a file
	}
	r, err := a.callBlocking(ctx, tusd.HookPreFinish, up.ID, up)
	switch {
	case err != nil:
		return err
	case r.RejectUpload || r.HTTPResponse.StatusCode >= 400:
		return rejection(r.HTTPResponse)
	}
	override(ctx, r.HTTPResponse)
	return nil
}

// callBlocking calls a blocking hook and returns the app's reply. If the app refuses with a
// status of 4xx, it returns a problem.Rejection with that response. Without a valid reply it
// returns a storage.ErrUnavailable, so the client retries.
func (a *Webhooks) callBlocking(ctx context.Context, typ tusd.HookType, id string, up storage.Upload) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, a.opts.Timeout)
	defer cancel()
	request := a.request(ctx)
	ctx, end := tracing.Start(ctx, "ask "+string(typ), id)
	var r reply
	got, err := a.client.postWithRetry(ctx, message{
		// The app may reply differently to a repeated call, so each has its own webhook-id.
		id:  id + "." + string(typ) + "." + storage.NewID(),
		url: a.url(typ), header: a.forward(request), body: a.hook(typ, up, request),
	}, blockingRetryPause)
	if err == nil {
		err = got.decode(&r)
	}
	if err == nil && (r.MaxSize < 0 || r.ExpireAfter < 0) {
		err = errors.New("response has a negative limit")
	}
	end(err)
	if got.refuses() {
		return r, rejection(got.forClient())
	}
	if err != nil {
		a.counts.blockingFailed.Add(1)
		return r, storage.Unavailable("call the blocking hook for", id, fmt.Errorf("%w: %s: %w", problem.ErrHookUnavailable, typ, err))
	}
	return r, nil
}

// change applies the app's changes to a new upload.
func (r reply) change(rec *storage.Record) error {
	info := r.ChangeFileInfo
	switch {
	case info.ID == "" || info.ID == rec.ID:
	case rec.ClientChosenID:
		// The client would not find it.
		return fmt.Errorf("%w: the app must not change an id that the client chose", storage.ErrForbidden)
	default:
		rec.ID = info.ID
	}
	if info.MetaData != nil {
		rec.Metadata = changedMetadata(rec.Metadata, info.MetaData)
	}
	for _, name := range []string{"Path", "Key"} {
		if key := info.Storage[name]; key != "" {
			rec.Key = key
		}
	}
	if r.MaxSize > 0 && (rec.MaxSize == 0 || r.MaxSize < rec.MaxSize) { // a token may have a lower limit
		rec.MaxSize = r.MaxSize
	}
	if r.ExpireAfter > 0 {
		rec.ExpireAfter = time.Duration(min(r.ExpireAfter, maxExpiry)) * time.Second
	}
	return nil
}

// maxExpiry is the largest ExpireAfter: a hundred years, in seconds.
const maxExpiry = 100 * 365 * 24 * 3600

// forClient returns a response with which the app refuses as the client gets it.
func (r response) forClient() handler.HTTPResponse {
	out := handler.HTTPResponse{StatusCode: r.status, Header: handler.HTTPHeader{}}
	if !r.truncated {
		out.Body = string(r.body)
	}
	for _, name := range []string{"Content-Type", "WWW-Authenticate"} {
		if value := r.header.Get(name); value != "" {
			out.Header[name] = value
		}
	}
	return out
}

// override makes the app's response a part of the response to the client.
func override(ctx context.Context, r handler.HTTPResponse) {
	protocol.OverrideResponse(ctx, protocol.ResponseOverride{Status: r.StatusCode, Header: r.Header, Body: r.Body})
}

// rejection returns the error for an upload that the app rejects. Its response is tusd's,
// with the fields that the app has set.
func rejection(r handler.HTTPResponse) error {
	return rejectionOf(handler.ErrUploadRejectedByServer, r)
}

// stopped returns the error for an upload that the app stops, likewise.
func stopped(r handler.HTTPResponse) error {
	return rejectionOf(handler.ErrUploadStoppedByServer, r)
}

func rejectionOf(byTusd handler.Error, r handler.HTTPResponse) error {
	merged := byTusd.HTTPResponse.MergeWith(r)
	return &problem.Rejection{Status: merged.StatusCode, Header: merged.Header, Body: merged.Body}
}
