package hooks

import (
	"context"
	"net/http"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// Caller is who makes a request, and what he may do. Whatever is zero is no limit.
type Caller struct {
	// Subject is who he is: he owns the uploads that he makes, and reaches no others.
	// "" is nobody in particular.
	Subject string
	Limits
	// Grant is set for somebody with a ticket: what it grants is all that he may do.
	Grant *Grant
}

// Limits are those of one caller, beside those that hold for all.
type Limits struct {
	MaxSize      int64         // of an upload, in bytes
	MaxLive      int           // uploads that are not finished yet, at a time
	ContentTypes []string      // of files: "video/mp4", or "image/*"
	ExpireAfter  time.Duration // how long an unfinished upload is kept after its last byte
	IDPrefix     string        // with which the ids of uploads begin
}

// Grant is what a ticket grants: one upload.
type Grant struct {
	Upload string // its id
	Create bool   // also to make it, if it is not there
	// NoFile refuses him the file of the finished upload.
	NoFile bool
}

type callerKey struct{}

// WithCaller notes who makes the request of ctx.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf is who makes the request of ctx. It is not ok outside of requests, where
// the server acts for itself, and where nobody is asked who he is.
func CallerOf(ctx context.Context) (c Caller, ok bool) {
	c, ok = ctx.Value(callerKey{}).(Caller)
	return c, ok
}

// Ticketer makes the URL query that grants an upload to whoever has it, such as
// "?ticket=...", for the caller of the request; "" if he is to have none.
type Ticketer func(r *http.Request, up storage.Upload) string

// Ticketed is the URL of an upload with a ticket in it, if the caller is to have one.
func (o Options) Ticketed(r *http.Request, up storage.Upload) string {
	url := o.URLs.Upload(r, up.ID)
	if o.Ticketer == nil {
		return url
	}
	return url + o.Ticketer(r, up)
}
