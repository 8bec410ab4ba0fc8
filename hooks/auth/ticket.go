package auth

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/holdfast-upload/holdfast/storage"
)

// The type (RFC 8725, section 3.11) and audience distinguish tickets from tokens.
const (
	ticketType     = "holdfast-ticket+jwt"
	ticketAudience = "urn:holdfast:ticket"
)

const (
	// TicketParam is the URL parameter that holds a ticket.
	TicketParam = "ticket"
	// TicketHeader is the header that may hold a ticket in place of the URL.
	TicketHeader = "Upload-Ticket"
)

// Ticket grants its bearer access to one upload: to query its offset and to send its bytes,
// but not to delete it.
type Ticket struct {
	// Upload is the id of the upload.
	Upload string
	// Subject is the owner of the upload; "" matches any owner.
	Subject string
	// Expires is when the ticket expires, with a precision of seconds.
	Expires time.Time
	// MaxSize limits the size of an upload created with it, in bytes; 0 adds no limit.
	MaxSize int64
	// Create allows creating the upload if it does not exist.
	Create bool
	// Download allows reading the finished file.
	Download bool
}

type ticketClaims struct {
	jwt.RegisteredClaims
	Upload   string `json:"upload"`
	MaxSize  int64  `json:"maxSize,omitempty"`
	Create   bool   `json:"create,omitempty"`
	Download bool   `json:"download,omitempty"`
}

// Sign signs a ticket. The result is used as the URL parameter "ticket", see TicketURL, or
// in the header Upload-Ticket. The secret must have 32 bytes or more.
//
// Errors: a secret that is too short, an invalid upload id (storage.ErrBadID), a negative
// size, or no expiry.
func Sign(secret string, t Ticket) (string, error) {
	if err := checkSecrets([]string{secret}); err != nil {
		return "", fmt.Errorf("sign a ticket: %w", err)
	}
	if err := storage.CheckID(t.Upload); err != nil {
		return "", fmt.Errorf("sign a ticket: %w", err)
	}
	if t.Expires.IsZero() || t.MaxSize < 0 {
		return "", errors.New("sign a ticket: an expiry and a non-negative size are required")
	}
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, ticketClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Subject: t.Subject, Audience: jwt.ClaimStrings{ticketAudience}, ExpiresAt: jwt.NewNumericDate(t.Expires),
		},
		Upload: t.Upload, MaxSize: t.MaxSize, Create: t.Create, Download: t.Download,
	})
	token.Header["typ"] = ticketType
	return token.SignedString([]byte(secret))
}

// TicketURL adds a ticket returned by Sign to the URL of its upload.
func TicketURL(uploadURL, ticket string) string {
	return uploadURL + "?" + url.Values{TicketParam: {ticket}}.Encode()
}

// isTicket reports whether a token has the type or audience of a ticket.
func isTicket(t *jwt.Token, c jwt.RegisteredClaims) bool {
	return t.Header["typ"] == ticketType || slices.Contains(c.Audience, ticketAudience)
}

// tickets verifies tickets.
type tickets struct {
	keys   jwt.VerificationKeySet
	parser *jwt.Parser
}

func newTickets(secrets []string) (*tickets, error) {
	if err := checkSecrets(secrets); err != nil {
		return nil, fmt.Errorf("tickets: %w", err)
	}
	return &tickets{keySet(secrets), jwt.NewParser(
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(), jwt.WithAudience(ticketAudience))}, nil
}

// verify parses a ticket and checks its signature and expiry.
func (t *tickets) verify(text string) (Ticket, error) {
	if len(t.keys.Keys) == 0 {
		return Ticket{}, errInvalid
	}
	var c ticketClaims
	token, err := t.parser.ParseWithClaims(text, &c, func(*jwt.Token) (any, error) { return t.keys, nil })
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return Ticket{}, errExpired
	case err != nil || !understood(token) || token.Header["typ"] != ticketType || storage.CheckID(c.Upload) != nil || c.MaxSize < 0:
		return Ticket{}, errInvalid
	}
	return Ticket{Upload: c.Upload, Subject: c.Subject, Expires: c.ExpiresAt.Time, MaxSize: c.MaxSize, Create: c.Create, Download: c.Download}, nil
}
