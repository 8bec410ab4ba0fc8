package auth

import (
	"context"
	"net/http"
	"regexp"
)

type ticketKey struct{}

// Hide takes the tickets off each request before anybody else sees it, who might write
// them down or pass them on; the guard knows where they are. Whoever logs, traces, or
// tells of requests stands behind it, and so do the doors.
func (a *Auth) Hide(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found := append(r.URL.Query()[TicketParam], r.Header.Values(TicketHeader)...)
		next.ServeHTTP(w, withoutTicket(r.WithContext(context.WithValue(r.Context(), ticketKey{}, found))))
	})
}

// ticketOf is the ticket of a request that Hide has seen.
func ticketOf(ctx context.Context) (string, error) {
	found, _ := ctx.Value(ticketKey{}).([]string)
	switch {
	case len(found) == 0 || len(found) == 1 && found[0] == "":
		return "", errNone
	case len(found) > 1 || len(found[0]) > maxToken:
		return "", errInvalid
	}
	return found[0], nil
}

// ticketInURL is a ticket in the URLs that a header has.
var ticketInURL = regexp.MustCompile(`[?&]` + TicketParam + `=[^&\s;,"]*`)

// withoutTicket is the request as if it had come without one. A client names the parts
// of a concatenation by the URLs that it was given, with the tickets in them.
func withoutTicket(r *http.Request) *http.Request {
	r.Header = r.Header.Clone()
	r.Header.Del(TicketHeader)
	for _, name := range []string{"Upload-Concat", "Referer"} {
		for i, value := range r.Header[name] {
			r.Header[name][i] = ticketInURL.ReplaceAllString(value, "")
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
