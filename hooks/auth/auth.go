// Package auth says who may come in. It stands in front of every door: a request
// gets past it with a token, with the app's word, or with a ticket, or not at all,
// and before any of its body is read.
//
// A token is a JWT, which says whose request it is. With Options.HookURL the app
// says so instead, and sees the credentials of the request for it. A ticket is a URL
// that the server or the app has signed; it grants one upload, until it expires, to
// whoever has it.
//
// An upload belongs to the subject who made it. To everybody else it is not there:
// Permit answers for it in every door. What a caller may make, Admit decides.
package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/holdfast-upload/holdfast/hooks"
)

// Options say which credentials count. Of JWTSecrets, JWKSURL and HookURL one at
// most is set.
type Options struct {
	URLs hooks.URLs
	Log  *slog.Logger

	// JWTSecrets verify tokens that are signed with HS256; any of them may have.
	JWTSecrets []string
	// JWKSURL is where the public keys are that verify tokens.
	JWKSURL string
	// Issuer and Audience are demanded of tokens if they are set.
	Issuer, Audience string

	// HookURL is where the app is asked who makes a request.
	HookURL string
	// HookHeaders are those that the app gets to see beside Authorization and Cookie.
	HookHeaders []string
	// HookTimeout is how long the app may take.
	HookTimeout time.Duration

	// TicketSecrets verify tickets; the first one signs them.
	TicketSecrets []string
	// TicketLifetime is for how long the server itself gives tickets; 0 gives none.
	TicketTTL time.Duration
}

// On tells whether anybody is asked who he is.
func (o Options) Next() bool {
	return len(o.JWTSecrets) > 0 || o.JWKSURL != "" || o.HookURL != "" || len(o.TicketSecrets) > 0
}

// Errors of credentials. Each is hooks.ErrUnauthenticated.
var (
	errNone    = fmt.Errorf("%w: there is none", hooks.ErrUnauthenticated)
	errInvalid = fmt.Errorf("%w: this one is not valid", hooks.ErrUnauthenticated)
	errExpired = fmt.Errorf("%w: this one has expired", hooks.ErrUnauthenticated)
)

// errUnsure: whether the credentials are good cannot be told now.
var errAuthUnavailable = errors.New("who this is cannot be told now")

// verifier tells who makes a request, from its headers. Its errors are those above,
// storage.ErrForbidden, and errUnsure.
type verifier interface {
	verify(ctx context.Context, r *http.Request) (hooks.Principal, error)
}

// Auth is what stands in front of the doors. Create it with New.
type Auth struct {
	opts    Options
	token   verifier // nil if only tickets count
	tickets *tickets
	close   context.CancelFunc
}

// New returns what the options ask for. It fails if a secret is too short to be one,
// or a URL is none.
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
		return newShared(opts)
	}
	return nil, nil
}

// Close ends what goes on in the background.
func (a *Auth) Close() { a.close() }

// minSecret is how long a secret of HS256 has to be, in bytes (RFC 7518, section 3.2).
const minSecret = 32

func checkSecrets(secrets []string) error {
	for _, secret := range secrets {
		if len(secret) < minSecret {
			return fmt.Errorf("a secret has %d bytes: %d or more are needed", len(secret), minSecret)
		}
	}
	return nil
}
