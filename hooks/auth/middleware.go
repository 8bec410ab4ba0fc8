package auth

import (
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
)

// Authenticate is for protocol.Options.Guards: it authenticates a request.
func (a *Auth) Authenticate(x *protocol.Exchange) error {
	principal, err := a.principal(x)
	if err != nil {
		if c := challenge(err); c != "" {
			x.Header().Set("WWW-Authenticate", c)
		}
		if errors.Is(err, errExpired) {
			// Tasks that a background session has queued come with such credentials. A client
			// that is still sending may see a connection reset in place of the response, and
			// repeat the request for ever.
			x.Body.Drain(x.Request())
		}
		return err
	}
	// Responses depend on the principal, so shared caches must not store them.
	x.Header().Set("Cache-Control", "private, no-cache")
	x.SetPrincipal(principal)
	return nil
}

// principal authenticates the request. If the ticket does not grant what is requested and
// there is a token too, the token decides.
func (a *Auth) principal(x *protocol.Exchange) (protocol.Principal, error) {
	r := x.Request()
	byTicket, ticketErr := a.authenticateTicket(x)
	if ticketErr == nil && !byTicket.Grant.DenyDownload {
		return byTicket, nil
	}
	err := errNone
	if a.token != nil {
		var byToken protocol.Principal
		if byToken, err = a.token.verify(r.Context(), r); err == nil {
			return byToken, nil
		}
	}
	if ticketErr == nil || errors.Is(err, errNone) {
		return byTicket, ticketErr
	}
	return protocol.Principal{}, err
}

func (a *Auth) authenticateTicket(x *protocol.Exchange) (protocol.Principal, error) {
	text, inURL, err := onlyTicket(x.Tickets)
	if err != nil {
		return protocol.Principal{}, err
	}
	t, err := a.tickets.verify(text)
	if err != nil {
		return protocol.Principal{}, err
	}
	c, err := t.grant(a.opts.URLs.ID(x.Request()), x.Request().Method)
	if err == nil && inURL {
		c.Grant.Query = ticketQuery(text)
	}
	return c, err
}

var errNoDelete = errors.Join(storage.ErrForbidden, errors.New("a ticket allows only querying and sending"))

// grant returns the principal that the ticket grants a request with this id and method.
func (t Ticket) grant(id, method string) (protocol.Principal, error) {
	c := protocol.Principal{
		Subject: t.Subject,
		Limits:  protocol.Limits{MaxSize: t.MaxSize},
		Grant:   &protocol.Grant{Upload: t.Upload, Create: t.Create, DenyDownload: method == http.MethodGet && !t.Download},
	}
	switch method {
	case http.MethodHead, http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodPost:
	default:
		return protocol.Principal{}, errNoDelete
	}
	if creates := id == "" && method == http.MethodPost && t.Create; id != t.Upload && !creates {
		return protocol.Principal{}, errOtherUpload
	}
	return c, nil
}

// TicketIssuer issues tickets to principals with a token, for their uploads. It is nil if
// the server issues no tickets.
func (a *Auth) TicketIssuer() protocol.TicketIssuer {
	if a.opts.TicketTTL <= 0 || len(a.opts.TicketSecrets) == 0 {
		return nil
	}
	var warn sync.Once
	return func(r *http.Request, up storage.Upload) string {
		c, ok := protocol.PrincipalFrom(r.Context())
		if !ok || c.Grant != nil || up.ID == "" {
			return ""
		}
		ticket, err := Sign(a.opts.TicketSecrets[0], Ticket{Upload: up.ID, Subject: c.Subject, Expires: time.Now().Add(a.opts.TicketTTL)})
		if err != nil {
			a.opts.Log.ErrorContext(r.Context(), "cannot sign a ticket", "id", up.ID, "error", err)
			return ""
		}
		if a.opts.URLs.LooksUnreachable(r) {
			warn.Do(func() {
				a.opts.Log.WarnContext(r.Context(), "the URL of an upload with its ticket is at a loopback address, though the request came through a proxy; "+
					"set --public-url, or have the proxy send X-Forwarded-Host", "url", a.opts.URLs.Upload(r, up.ID))
			})
		}
		return ticketQuery(ticket)
	}
}

func ticketQuery(ticket string) string { return "?" + url.Values{TicketParam: {ticket}}.Encode() }
