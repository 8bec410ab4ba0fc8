package auth

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
)

const (
	// refreshKeys is how often the public keys are fetched: a revoked key is accepted no
	// longer than that.
	refreshKeys = 5 * time.Minute
	// refreshUnknown is the minimum interval between fetches for unknown key ids, which
	// clients can make up.
	refreshUnknown = 10 * time.Second
	fetchTimeout   = 5 * time.Second
	maxKeys        = 1 << 20 // bytes of a JWK set
)

// publicKeys is the JWK set at a URL (RFC 7517). It is fetched periodically, and when a
// token has an unknown key id.
type publicKeys struct {
	keys     keyfunc.Keyfunc
	failing  atomic.Bool // whether the last fetch failed
	fetching singleflight.Group
}

// newPublicKeys returns a verifier that uses the public keys at opts.JWKSURL. It does not
// fail if they cannot be fetched yet.
func newPublicKeys(ctx context.Context, opts Options) (*tokens, error) {
	p := &publicKeys{}
	var err error
	p.keys, err = keyfunc.NewDefaultOverrideCtx(ctx, []string{opts.JWKSURL}, keyfunc.Override{
		Client: &http.Client{
			Transport:     &keysTransport{p, http.DefaultTransport},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		HTTPTimeout:       fetchTimeout,
		RefreshInterval:   refreshKeys,
		RefreshUnknownKID: rate.NewLimiter(rate.Every(refreshUnknown), 1),
		RateLimitWaitMax:  fetchTimeout,
		RefreshErrorHandlerFunc: func(string) func(context.Context, error) {
			return func(ctx context.Context, err error) { p.failed(ctx, opts.Log, err) }
		},
	})
	if err != nil {
		return nil, errors.New("invalid JWKS URL")
	}
	// Each algorithm requires a certain key type, which the library checks.
	t := newTokens(opts, "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
	t.key = p.find
	return t, nil
}

func (p *publicKeys) failed(ctx context.Context, log *slog.Logger, err error) {
	p.failing.Store(true)
	log.WarnContext(ctx, "fetching the JWK set failed; keeping the cached keys", "error", protocol.WithoutURL(err))
}

// find returns the key of a token. Concurrent requests for the same key share one fetch.
func (p *publicKeys) find(_ context.Context, token *jwt.Token) (any, error) {
	kid, _ := token.Header["kid"].(string)
	alg, _ := token.Header["alg"].(string)
	key, err, _ := p.fetching.Do(alg+" "+kid, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
		defer cancel()
		return p.keys.KeyfuncCtx(ctx)(token)
	})
	if set, ok := key.(jwt.VerificationKeySet); ok && len(set.Keys) == 0 {
		err = jwkset.ErrKeyNotFound
	}
	if err != nil && p.failing.Load() {
		return nil, problem.ErrAuthUnavailable
	}
	return key, err
}

// keysTransport records whether fetches succeed, and limits the size of the response.
type keysTransport struct {
	keys *publicKeys
	next http.RoundTripper
}

func (w *keysTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	w.keys.failing.Store(false) // failed sets it again
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxKeys), resp.Body}
	return resp, nil
}
