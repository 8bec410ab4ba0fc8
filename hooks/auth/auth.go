// Package auth authenticates and authorizes requests, for every protocol. A request needs
// a token, the approval of the app, or a ticket; without, it is rejected before any of
// its body is read.
//
// A token is a JWT that names the subject. With Options.HookURL the app authenticates
// requests instead, by the credentials in their headers. A ticket is a signed URL, issued
// by the server or the app, which grants its bearer access to one upload until it expires.
//
// An upload belongs to the subject that created it, and is not found for others: see
// Authorize. BeforeCreate decides what a principal may create.
package auth

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
)

// Options configures which credentials are accepted. At most one of JWTSecrets, JWKSURL
// and HookURL may be set.
type Options struct {
	URLs protocol.URLs
	Log  *slog.Logger

	// JWTSecrets verify tokens signed with HS256; a token may be signed with any of them.
	JWTSecrets []string
	// JWKSURL is the URL of the public keys that verify tokens.
	JWKSURL string
	// Issuer and Audience, if set, are required of tokens.
	Issuer, Audience string

	// HookURL is the app's endpoint that authenticates requests.
	HookURL string
	// HookHeaders are sent to the app in addition to Authorization and Cookie.
	HookHeaders []string
	// HookTimeout is the timeout of a request to the app.
	HookTimeout time.Duration

	// TicketSecrets verify tickets; the first one signs them.
	TicketSecrets []string
	// TicketTTL is the lifetime of tickets that the server issues; if 0, it issues none.
	TicketTTL time.Duration
}

// Enabled reports whether authentication is on.
func (o Options) Enabled() bool {
	return len(o.JWTSecrets) > 0 || o.JWKSURL != "" || o.HookURL != "" || len(o.TicketSecrets) > 0
}

// Errors of credentials. Each is problem.ErrUnauthenticated.
var (
	errNone    = fmt.Errorf("%w: the request has no credentials", problem.ErrUnauthenticated)
	errInvalid = fmt.Errorf("%w: the credentials are not valid", problem.ErrUnauthenticated)
	errExpired = fmt.Errorf("%w: the credentials have expired", problem.ErrUnauthenticated)
)

// verifier authenticates a request by its headers. Its errors are those above and
// storage.ErrForbidden.
type verifier interface {
	verify(ctx context.Context, r *http.Request) (protocol.Principal, error)
}

// Auth authenticates requests before they reach the protocols. Create it with New.
type Auth struct {
	opts    Options
	token   verifier // nil if only tickets count
	tickets *tickets
	close   context.CancelFunc
}

// New returns an Auth. It fails if a secret is too short or a URL is invalid.
func New(opts Options) (*Auth, error) {
	ctx, cancel := context.WithCancel(context.Background())
	a := &Auth{opts: opts, close: cancel}
	var err error
	if a.tickets, err = newTickets(opts.TicketSecrets); err == nil {
		a.token, err = newVerifier(ctx, opts)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return a, nil
}

func newVerifier(ctx context.Context, opts Options) (verifier, error) {
	switch {
	case opts.HookURL != "":
		return newHook(opts)
	case opts.JWKSURL != "":
		return newPublicKeys(ctx, opts)
	case len(opts.JWTSecrets) > 0:
		return newSharedSecrets(opts)
	}
	return nil, nil
}

// Close stops background work.
func (a *Auth) Close() { a.close() }

// minSecret is the minimum length of an HS256 secret, in bytes (RFC 7518, section 3.2).
const minSecret = 32

func checkSecrets(secrets []string) error {
	for _, secret := range secrets {
		if len(secret) < minSecret {
			return fmt.Errorf("the secret has %d bytes, at least %d are required", len(secret), minSecret)
		}
	}
	return nil
}
