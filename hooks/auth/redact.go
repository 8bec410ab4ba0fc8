package auth

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
)

// RedactTickets removes tickets from a request, so that they are not logged or passed on,
// and returns them. It is for protocol.Options.Redact.
func RedactTickets(r *http.Request) (*http.Request, protocol.Tickets) {
	found := protocol.Tickets{InURL: r.URL.Query()[TicketParam], InHeader: r.Header.Values(TicketHeader)}
	return withoutTicket(r.WithContext(r.Context())), found
}

// onlyTicket returns the ticket of a request in which RedactTickets found these, and
// reports whether it was in the URL.
func onlyTicket(tickets protocol.Tickets) (text string, inURL bool, err error) {
	found := slices.Concat(tickets.InURL, tickets.InHeader)
	switch {
	case len(found) == 0 || len(found) == 1 && found[0] == "":
		return "", false, errNone
	case len(found) > 1 || len(found[0]) > maxToken:
		return "", false, errInvalid
	}
	return found[0], len(tickets.InURL) > 0, nil
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
