package protocol

import (
	"context"
	"net/http"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// Principal identifies who makes a request and what it may do. A zero limit is no limit.
type Principal struct {
	// Subject owns the uploads that it creates, and has no access to others. "" is an
	// anonymous principal.
	Subject string
	Limits
	// Grant, if set, restricts the principal to what its ticket grants.
	Grant *Grant
}

// Limits are limits of one principal. ExpireAfter is in place of the server's, the others are in
// addition to the server's.
type Limits struct {
	MaxSize       int64         // of an upload, in bytes
	MaxIncomplete int           // concurrent unfinished uploads
	ContentTypes  []string      // of files: "video/mp4", or "image/*"
	ExpireAfter   time.Duration // how long an unfinished upload is kept after its last byte
	IDPrefix      string        // required prefix of upload ids
}

// Grant is what a ticket grants: access to one upload.
type Grant struct {
	Upload string // its id
	Create bool   // whether to create it if it does not exist
	// DenyDownload denies access to the finished file.
	DenyDownload bool
	// Query is the URL query with the ticket, such as "?ticket=...", if it came in the URL.
	Query string
}

// SetPrincipal sets who makes the request.
func (x *Exchange) SetPrincipal(c Principal) {
	x.principal = &c
	x.mu.Lock()
	defer x.mu.Unlock()
	x.subject = c.Subject
}

// PrincipalFrom returns the principal of the request that ctx belongs to. ok is false
// outside of requests, where the server acts for itself, and if authentication is off.
func PrincipalFrom(ctx context.Context) (c Principal, ok bool) {
	p := ExchangeOf(ctx).principal
	if p == nil {
		return Principal{}, false
	}
	return *p, true
}

// WithPrincipal returns a context in which the core acts for a principal, without a Router.
func WithPrincipal(ctx context.Context, c Principal) context.Context {
	return with(ctx, &Exchange{snapshot: ExchangeOf(ctx).snapshot, principal: &c})
}

// TicketIssuer returns a URL query such as "?ticket=...", which grants access to an
// upload, for the principal of the request, or "" if the principal gets no ticket.
type TicketIssuer func(r *http.Request, up storage.Upload) string

// ContinueURL returns the URL at which a client that knows only the response goes on: that
// of the upload, with a new ticket if the principal gets one, or with the ticket that was in
// the URL of the request.
func (o Options) ContinueURL(r *http.Request, up storage.Upload) string {
	if c, ok := PrincipalFrom(r.Context()); ok && c.Grant != nil && c.Grant.Query != "" {
		return o.URLs.Upload(r, up.ID) + c.Grant.Query
	}
	return o.TicketedURL(r, up)
}

// TicketedURL returns the URL of an upload, with a ticket if the principal gets one.
func (o Options) TicketedURL(r *http.Request, up storage.Upload) string {
	url := o.URLs.Upload(r, up.ID)
	if o.TicketIssuer == nil {
		return url
	}
	return url + o.TicketIssuer(r, up)
}
