package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
)

const (
	// leeway is the tolerated clock skew.
	leeway = 30 * time.Second
	// maxToken is the maximum length of a token, in bytes.
	maxToken = 16 << 10
)

// claims are the claims of a token. The limits of the principal are in one claim:
//
//	{"sub": "user-17", "exp": 1893456000, "holdfast": {"maxSize": 5368709120}}
type claims struct {
	jwt.RegisteredClaims
	Rules rules `json:"holdfast"`
}

// rules are the limits of a principal, in a token and in the app's response.
type rules struct {
	MaxSize       int64    `json:"maxSize"`      // bytes
	MaxIncomplete int      `json:"maxLive"`      // uploads
	ContentTypes  []string `json:"contentTypes"` // "video/mp4", "image/*"
	ExpireAfter   int64    `json:"expireAfter"`  // seconds
	IDPrefix      string   `json:"idPrefix"`
}

var errNegative = errors.New("limit is negative or too large")

// limits converts the rules. Invalid rules are an error, so that none is taken for no
// limit.
func (r rules) limits() (protocol.Limits, error) {
	const maxSeconds = int64(1<<63-1) / int64(time.Second)
	if r.MaxSize < 0 || r.MaxIncomplete < 0 || r.ExpireAfter < 0 || r.ExpireAfter > maxSeconds {
		return protocol.Limits{}, errNegative
	}
	return protocol.Limits{
		MaxSize: r.MaxSize, MaxIncomplete: r.MaxIncomplete, ContentTypes: r.ContentTypes,
		ExpireAfter: time.Duration(r.ExpireAfter) * time.Second, IDPrefix: r.IDPrefix,
	}, nil
}

// tokens verifies JWTs (RFC 7519).
type tokens struct {
	parser *jwt.Parser
	key    func(ctx context.Context, t *jwt.Token) (any, error)
}

// newTokens accepts only the given algorithms, to prevent algorithm confusion: "none", or
// HS256 with a public key as the secret.
func newTokens(opts Options, algorithms ...string) *tokens {
	rules := []jwt.ParserOption{jwt.WithValidMethods(algorithms), jwt.WithExpirationRequired(), jwt.WithLeeway(leeway)}
	if opts.Issuer != "" {
		rules = append(rules, jwt.WithIssuer(opts.Issuer))
	}
	if opts.Audience != "" {
		rules = append(rules, jwt.WithAudience(opts.Audience))
	}
	return &tokens{parser: jwt.NewParser(rules...)}
}

// newSharedSecrets returns a verifier that uses secrets shared with the app.
func newSharedSecrets(opts Options) (*tokens, error) {
	if err := checkSecrets(opts.JWTSecrets); err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	keys := keySet(opts.JWTSecrets)
	t := newTokens(opts, "HS256")
	t.key = func(context.Context, *jwt.Token) (any, error) { return keys, nil }
	return t, nil
}

func keySet(secrets []string) jwt.VerificationKeySet {
	var set jwt.VerificationKeySet
	for _, secret := range secrets {
		set.Keys = append(set.Keys, []byte(secret))
	}
	return set
}

// verify implements verifier.
func (t *tokens) verify(ctx context.Context, r *http.Request) (protocol.Principal, error) {
	text, err := bearer(r)
	if err != nil {
		return protocol.Principal{}, err
	}
	var c claims
	token, err := t.parser.ParseWithClaims(text, &c, func(token *jwt.Token) (any, error) { return t.key(ctx, token) })
	switch {
	case errors.Is(err, problem.ErrAuthUnavailable):
		return protocol.Principal{}, problem.ErrAuthUnavailable
	case errors.Is(err, jwt.ErrTokenExpired):
		return protocol.Principal{}, errExpired
	case err != nil || !understood(token) || isTicket(token, c.RegisteredClaims) || c.Subject == "":
		return protocol.Principal{}, errInvalid
	}
	limits, err := c.Rules.limits()
	if err != nil {
		return protocol.Principal{}, errInvalid
	}
	return protocol.Principal{Subject: c.Subject, Limits: limits}, nil
}

// bearer returns the bearer token of a request (RFC 6750, section 2.1).
func bearer(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	switch {
	case len(values) == 0:
		return "", errNone
	case len(values) > 1:
		return "", errInvalid
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer"):
		return "", errNone
	case len(token) > maxToken:
		return "", errInvalid
	}
	return strings.Trim(token, " "), nil
}
