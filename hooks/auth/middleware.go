package auth

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/storage"
)

// Door puts a door behind the guard.
func (a *Auth) Middleware(next hooks.Protocol) hooks.Protocol { return &middleware{next, a} }

type middleware struct {
	hooks.Protocol
	auth *Auth
}

func (g *middleware) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	caller, err := g.auth.principal(r)
	if err != nil {
		g.auth.reject(w, r, err)
		return
	}
	// For no cache that others share: what one may see, another may not.
	w.Header().Set("Cache-Control", "private, no-cache")
	*r = *r.WithContext(hooks.WithPrincipal(r.Context(), caller)) // a door's changes are seen by whoever logs r
	g.Protocol.ServeHTTP(w, r)
}

// caller is who makes the request. A ticket counts if it grants what is asked for; if
// not, and there is a token too, that decides, as if there were no ticket.
func (a *Auth) principal(r *http.Request) (hooks.Principal, error) {
	byTicket, ticketErr := a.authenticateTicket(r)
	if ticketErr == nil && !byTicket.Grant.DenyDownload {
		return byTicket, nil
	}
	err := errNone
	if a.token != nil {
		var caller hooks.Principal
		if caller, err = a.token.verify(r.Context(), r); err == nil {
			return caller, nil
		}
	}
	if ticketErr == nil || errors.Is(err, errNone) {
		return byTicket, ticketErr
	}
	return hooks.Principal{}, err
}

func (a *Auth) authenticateTicket(r *http.Request) (hooks.Principal, error) {
	text, err := ticketFrom(r.Context())
	if err != nil {
		return hooks.Principal{}, err
	}
	t, err := a.tickets.verify(text)
	if err != nil {
		return hooks.Principal{}, err
	}
	return t.grant(a.opts.URLs.ID(r), r.Method)
}

var errNoDelete = errors.Join(storage.ErrForbidden, errors.New("a ticket allows to ask and to send, nothing else"))

// grant is what the ticket allows a request.
func (t Ticket) grant(id, method string) (hooks.Principal, error) {
	c := hooks.Principal{
		Subject: t.Subject,
		Limits:  hooks.Limits{MaxSize: t.MaxSize},
		Grant:   &hooks.Grant{Upload: t.Upload, Create: t.Create, DenyDownload: method == http.MethodGet && !t.Download},
	}
	switch method {
	case http.MethodHead, http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodPost:
	default:
		return hooks.Principal{}, errNoDelete
	}
	if creates := id == "" && method == http.MethodPost && t.Create; id != t.Upload && !creates {
		return hooks.Principal{}, errOtherUpload
	}
	return c, nil
}

// Ticketer gives those who came with a token a ticket for their uploads. It is nil if
// nobody is to get one.
func (a *Auth) TicketIssuer() hooks.TicketIssuer {
	if a.opts.TicketTTL <= 0 || len(a.opts.TicketSecrets) == 0 {
		return nil
	}
	return func(r *http.Request, up storage.Upload) string {
		c, ok := hooks.PrincipalFrom(r.Context())
		if !ok || c.Grant != nil || up.ID == "" {
			return ""
		}
		ticket, err := Sign(a.opts.TicketSecrets[0], Ticket{Upload: up.ID, Subject: c.Subject, Expires: time.Now().Add(a.opts.TicketTTL)})
		if err != nil {
			a.opts.Log.ErrorContext(r.Context(), "no ticket could be made", "id", up.ID, "error", err)
			return ""
		}
		return "?" + url.Values{TicketParam: {ticket}}.Encode()
	}
}
