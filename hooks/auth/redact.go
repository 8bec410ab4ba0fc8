package auth

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
)

// foundTickets are the tickets of a request.
type foundTickets struct{ inURL, inHeader []string }

type ticketKey struct{}

// RedactTickets removes tickets from requests, so that they are not logged or passed on.
// It keeps them in the context, for Middleware. It must run before logging, tracing and
// hooks, and before the protocols.
func (a *Auth) RedactTickets(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found := foundTickets{r.URL.Query()[TicketParam], r.Header.Values(TicketHeader)}
		next.ServeHTTP(w, withoutTicket(r.WithContext(context.WithValue(r.Context(), ticketKey{}, found))))
	})
}

// ticketFrom returns the ticket that RedactTickets removed from the request of ctx, and
// reports whether it was in the URL.
func ticketFrom(ctx context.Context) (text string, inURL bool, err error) {
	tickets, _ := ctx.Value(ticketKey{}).(foundTickets)
	found := slices.Concat(tickets.inURL, tickets.inHeader)
	switch {
	case len(found) == 0 || len(found) == 1 && found[0] == "":
		return "", false, errNone
	case len(found) > 1 || len(found[0]) > maxToken:
		return "", false, errInvalid
	}
	return found[0], len(tickets.inURL) > 0, nil
}

// ticketInURL matches a ticket in a URL within a header. The URL may be escaped, as a
// parameter of another one.
var ticketInURL = regexp.MustCompile(`(?i)(?:[?&;]|%3F|%26|%3B)` + escapable(TicketParam) + `(?:=|%3D)[^&\s;,"]*`)

// escapable returns a pattern for text in which any character may be percent-encoded.
func escapable(text string) string {
	var pattern strings.Builder
	for _, char := range []byte(text) {
		fmt.Fprintf(&pattern, "(?:%c|%%%02X)", char, char)
	}
	return pattern.String()
}

// withoutTicket returns the request without tickets. They may occur in many headers: a
// client lists the URLs of the parts of a concatenation, and proxies add the original URL
// (X-Original-URI, X-Forwarded-Uri and others). Cookies are left alone: the app may have
// signed them, and may have a "ticket" parameter of its own.
func withoutTicket(r *http.Request) *http.Request {
	r.Header = r.Header.Clone()
	r.Header.Del(TicketHeader)
	for name, values := range r.Header {
		for i := range values {
			if name != "Cookie" {
				values[i] = ticketInURL.ReplaceAllString(values[i], "")
			}
		}
	}
	query := protocol.WithoutParam(r.URL.RawQuery, TicketParam)
	if query == r.URL.RawQuery {
		return r
	}
	u := *r.URL
	u.RawQuery = query
	r.URL, r.RequestURI = &u, u.RequestURI()
	return r
}
