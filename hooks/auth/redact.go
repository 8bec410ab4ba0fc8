package auth

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

type ticketKey struct{}

// Hide takes the tickets off each request before anybody else sees it, who might write
// them down or pass them on; the guard knows where they are. Whoever logs, traces, or
// tells of requests stands behind it, and so do the doors.
func (a *Auth) RedactTickets(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found := append(r.URL.Query()[TicketParam], r.Header.Values(TicketHeader)...)
		next.ServeHTTP(w, withoutTicket(r.WithContext(context.WithValue(r.Context(), ticketKey{}, found))))
	})
}

// ticketOf is the ticket of a request that Hide has seen.
func ticketFrom(ctx context.Context) (string, error) {
	found, _ := ctx.Value(ticketKey{}).([]string)
	switch {
	case len(found) == 0 || len(found) == 1 && found[0] == "":
		return "", errNone
	case len(found) > 1 || len(found[0]) > maxToken:
		return "", errInvalid
	}
	return found[0], nil
}

// ticketInURL is a ticket in the URLs that a header has, which may stand there as they
// are or escaped, as parameters of others.
var ticketInURL = regexp.MustCompile(`(?i)(?:[?&]|%3F|%26)` + escapable(TicketParam) + `(?:=|%3D)[^&\s;,"]*`)

// escapable matches a text of which any character may be escaped as in URLs.
func escapable(text string) string {
	var pattern strings.Builder
	for _, char := range []byte(text) {
		fmt.Fprintf(&pattern, "(?:%c|%%%02X)", char, char)
	}
	return pattern.String()
}

// withoutTicket is the request as if it had come without one. Tickets are in many
// headers: a client names the parts of a concatenation by the URLs that it was given, and
// a proxy tells which URL it was asked for (X-Original-URI, X-Forwarded-Uri and others).
// Cookies stay: the app may have signed them, and may have a parameter "ticket" of its own.
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
	query := r.URL.Query()
	if !query.Has(TicketParam) {
		return r
	}
	query.Del(TicketParam)
	u := *r.URL
	u.RawQuery = query.Encode()
	r.URL, r.RequestURI = &u, u.RequestURI()
	return r
}
