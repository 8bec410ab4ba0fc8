package hooks

import (
	"context"
	"net/http"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// Caller is who makes a request, and what he may do. Whatever is zero is no limit.
type Principal struct {
	// Subject is who he is: he owns the uploads that he makes, and reaches no others.
	// "" is nobody in particular.
	Subject string
	Limits
	// Grant is set for somebody with a ticket: what it grants is all that he may do.
	Grant *Grant
}

// Limits are those of one caller, beside those that hold for all.
type Limits struct {
	MaxSize       int64         // of an upload, in bytes
	MaxIncomplete int           // uploads that are not finished yet, at a time
	ContentTypes  []string      // of files: "video/mp4", or "image/*"
	ExpireAfter   time.Duration // how long an unfinished upload is kept after its last byte
	IDPrefix      string        // with which the ids of uploads begin
}

// Grant is what a ticket grants: one upload.
type Grant struct {
	Upload string // its id
	Create bool   // also to make it, if it is not there
	// NoFile refuses him the file of the finished upload.
	DenyDownload bool
}

type principalKey struct{}

// WithCaller notes who makes the request of ctx.
func WithPrincipal(ctx context.Context, c Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, c)
}

// CallerOf is who makes the request of ctx. It is not ok outside of requests, where
// the server acts for itself, and where nobody is asked who he is.
func PrincipalFrom(ctx context.Context) (c Principal, ok bool) {
	c, ok = ctx.Value(principalKey{}).(Principal)
	return c, ok
}

// Ticketer makes the URL query that grants an upload to whoever has it, such as
// "?ticket=...", for the caller of the request; "" if he is to have none.
type TicketIssuer func(r *http.Request, up storage.Upload) string

// Ticketed is the URL of an upload with a ticket in it, if the caller is to have one.
func (o Options) TicketedURL(r *http.Request, up storage.Upload) string {
	url := o.URLs.Upload(r, up.ID)
	if o.TicketIssuer == nil {
		return url
	}
	return url + o.TicketIssuer(r, up)
}
