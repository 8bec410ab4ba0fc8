package webhook

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"
	tusd "github.com/tus/tusd/v2/pkg/hooks"

	"github.com/holdfast-upload/holdfast/storage"
)

// Deliver implements storage.Deliverer: it sends post-finish once. The app acknowledges
// with a 2xx status, and rejects the event for good with 410.
func (a *Webhooks) Deliver(ctx context.Context, d storage.Delivery) error {
	origin, _ := d.Origin.(handler.HTTPRequest)
	got, err := a.client.post(ctx, message{
		id: d.ID, url: a.url(tusd.HookPostFinish),
		header: a.forward(origin), body: a.hook(tusd.HookPostFinish, d.Upload, origin),
	})
	switch {
	case err != nil:
		return err
	case got.ok():
		return nil
	case got.status == http.StatusGone:
		return fmt.Errorf("%w: %w", storage.ErrRejected, got.err())
	}
	return &storage.DeliveryDelay{Err: got.err(), Wait: got.retryAfter(time.Now())}
}

// Origin implements storage.OriginCapturer.
func (a *Webhooks) Origin(ctx context.Context) (any, int) {
	request := a.request(ctx)
	return request, size(request)
}

// deliversFirst reports whether post-finish of a deleted upload is pending. The outbox calls
// Deleted once it has been delivered.
func (a *Webhooks) deliversFirst(up storage.Upload) bool {
	return a.url(tusd.HookPostFinish) != "" && up.AwaitsDelivery()
}

// Deleted implements storage.DeletionNotifier: it sends post-terminate.
func (a *Webhooks) Deleted(ctx context.Context, up storage.Upload, origin any) {
	url := a.url(tusd.HookPostTerminate)
	if url == "" {
		return
	}
	request, _ := origin.(handler.HTTPRequest)
	a.enqueue(ctx, &notification{event: tusd.HookPostTerminate, upload: up.ID, message: message{
		id: storage.EventID(up.ID, storage.Deleted), url: url,
		header: a.forward(request), body: a.hook(tusd.HookPostTerminate, up, request),
	}})
}
