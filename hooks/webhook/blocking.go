package webhook

import (
	"context"
	"fmt"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"
	tusd "github.com/tus/tusd/v2/pkg/hooks"

	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/tracing"
)

// askPause is how long to wait before asking for the second time; twice as long
// before the third.
const blockingRetryPause = 300 * time.Millisecond

// reply is the app's answer to a hook: tusd's, and what holdfast adds to it.
type reply struct {
	tusd.HookResponse
	MaxSize     int64 // of this upload in bytes, 0 for none of its own; no more than others allow (pre-create)
	ExpireAfter int64 // in seconds, 0 for none of its own (pre-create)
}

// admit asks the app whether an upload may be created, and how.
func (a *Webhooks) beforeCreate(ctx context.Context, rec *storage.Record) error {
	up := storage.Upload{Record: *rec}
	if !rec.ClientChosenID {
		up.ID = "" // as in tusd's: the app may yet choose it
	}
	r, err := a.callBlocking(ctx, tusd.HookPreCreate, rec.ID, up)
	if err != nil {
		return err
	}
	if r.RejectUpload {
		return refusal(r.HTTPResponse)
	}
	if err := r.change(rec); err != nil {
		return err
	}
	override(ctx, r.HTTPResponse)
	return nil
}

// accept asks the app whether an upload that has all its bytes may become a file.
func (a *Webhooks) beforeFinish(ctx context.Context, up storage.Upload) error {
	if up.Partial {
		return nil // it is no file of its own
	}
	r, err := a.callBlocking(ctx, tusd.HookPreFinish, up.ID, up)
	switch {
	case err != nil:
		return err
	case r.RejectUpload || r.HTTPResponse.StatusCode >= 400:
		return refusal(r.HTTPResponse)
	}
	override(ctx, r.HTTPResponse)
	return nil
}

// ask returns the app's answer. If there is none, the client is to come back.
func (a *Webhooks) callBlocking(ctx context.Context, typ tusd.HookType, id string, up storage.Upload) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, a.opts.Timeout)
	defer cancel()
	request := a.request(ctx)
	ctx, end := tracing.Start(ctx, "ask "+string(typ), id)
	var r reply
	got, err := a.client.postWithRetry(ctx, message{
		// Whoever asks again may get another answer, so this is another question.
		id:  id + "." + string(typ) + "." + storage.NewID(),
		url: a.url(typ), header: a.forward(request), body: a.hook(typ, up, request),
	}, blockingRetryPause)
	if err == nil {
		err = got.decode(&r)
	}
	end(err)
	if err != nil {
		a.counts.blockingFailed.Add(1)
		return r, storage.Unavailable("ask the app about", id, fmt.Errorf("%w: %s: %w", hooks.ErrHookUnavailable, typ, err))
	}
	return r, nil
}

// change does to a new upload what the app wishes.
func (r reply) change(rec *storage.Record) error {
	wish := r.ChangeFileInfo
	switch {
	case wish.ID == "" || wish.ID == rec.ID:
	case rec.ClientChosenID:
		// The client would never find it.
		return fmt.Errorf("%w: the app gives the upload another id than its client", storage.ErrForbidden)
	default:
		rec.ID = wish.ID
	}
	if wish.MetaData != nil {
		rec.Metadata = changedMetadata(rec.Metadata, wish.MetaData)
	}
	for _, name := range []string{"Path", "Key"} {
		if key := wish.Storage[name]; key != "" {
			rec.Key = key
		}
	}
	if r.MaxSize > 0 && (rec.MaxSize == 0 || r.MaxSize < rec.MaxSize) { // a token may have said less
		rec.MaxSize = r.MaxSize
	}
	if r.ExpireAfter > 0 {
		rec.ExpireAfter = time.Duration(min(r.ExpireAfter, maxExpiry)) * time.Second
	}
	return nil
}

// maxExpiry is a hundred years, in seconds.
const maxExpiry = 100 * 365 * 24 * 3600

// amend has the client told what the app says to it.
func override(ctx context.Context, r handler.HTTPResponse) {
	hooks.OverrideResponse(ctx, hooks.ResponseOverride{Status: r.StatusCode, Header: r.Header, Body: r.Body})
}

// refusal is what a client is told if the app does not want its upload: what tusd
// says, but for what the app says itself.
func refusal(r handler.HTTPResponse) error {
	merged := handler.ErrUploadRejectedByServer.HTTPResponse.MergeWith(r)
	return &hooks.Rejection{Status: merged.StatusCode, Header: merged.Header, Body: merged.Body}
}
