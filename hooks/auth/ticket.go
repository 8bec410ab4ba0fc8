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

// What tells a ticket from a token, in both directions: its type (RFC 8725, section
// 3.11) and its audience.
const (
	ticketType     = "holdfast-ticket+jwt"
	ticketAudience = "urn:holdfast:ticket"
)

const (
	// TicketParam is the URL parameter that holds a ticket.
	TicketParam = "ticket"
	// TicketHeader is the header that may hold it instead.
	TicketHeader = "Upload-Ticket"
)

// Ticket grants one upload to whoever has it, and nothing else: to ask how far it is
// and to send its bytes. It does not allow to delete it.
type Ticket struct {
	// Upload is the id of the upload.
	Upload string
	// Subject is whose upload it is; "" grants it whoever owns it.
	Subject string
	// Expires is when the ticket ends, in whole seconds.
	Expires time.Time
	// MaxSize is the largest size of an upload that is made with it; 0 is no limit of
	// its own.
	MaxSize int64
	// Create allows to make the upload, if it is not there.
	Create bool
	// Download allows to read the file once it is finished.
	Download bool
}

type ticketClaims struct {
	jwt.RegisteredClaims
	Upload   string `json:"upload"`
	MaxSize  int64  `json:"maxSize,omitempty"`
	Create   bool   `json:"create,omitempty"`
	Download bool   `json:"download,omitempty"`
}

// Mint signs a ticket. The result goes into a URL as the parameter "ticket", or into
// the header Upload-Ticket; see TicketURL. The secret has 32 bytes or more.
//
// Errors: a secret that is too short, an id that no upload can have (storage.ErrBadID),
// a negative size, or no expiry.
func Sign(secret string, t Ticket) (string, error) {
	if err := checkSecrets([]string{secret}); err != nil {
		return "", fmt.Errorf("sign a ticket: %w", err)
	}
	if err := storage.CheckID(t.Upload); err != nil {
		return "", fmt.Errorf("sign a ticket: %w", err)
	}
	if t.Expires.IsZero() || t.MaxSize < 0 {
		return "", errors.New("sign a ticket: it needs an expiry, and a size that is not negative")
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

// TicketURL adds a ticket that Mint has made to the URL of its upload.
func TicketURL(uploadURL, ticket string) string {
	return uploadURL + "?" + url.Values{TicketParam: {ticket}}.Encode()
}

// isTicket tells whether any sign of a ticket is on a token.
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
		return nil, fmt.Errorf("the secret of tickets: %w", err)
	}
	return &tickets{keySet(secrets), jwt.NewParser(
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(), jwt.WithAudience(ticketAudience))}, nil
}

// verify returns what a ticket says, if it is one and has not expired.
func (t *tickets) verify(text string) (Ticket, error) {
	if len(t.keys.Keys) == 0 {
		return Ticket{}, errInvalid
	}
	var c ticketClaims
	token, err := t.parser.ParseWithClaims(text, &c, func(*jwt.Token) (any, error) { return t.keys, nil })
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return Ticket{}, errExpired
	case err != nil || token.Header["typ"] != ticketType || storage.CheckID(c.Upload) != nil || c.MaxSize < 0:
		return Ticket{}, errInvalid
	}
	return Ticket{Upload: c.Upload, Subject: c.Subject, Expires: c.ExpiresAt.Time, MaxSize: c.MaxSize, Create: c.Create, Download: c.Download}, nil
}
