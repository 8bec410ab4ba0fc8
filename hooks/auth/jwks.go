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

	"github.com/holdfast-upload/holdfast/hooks"
)

const (
	// refreshKeys is how often the public keys are fetched, so that one that was
	// withdrawn counts no longer than that.
	refreshKeys = 5 * time.Minute
	// refreshUnknown is how often they are fetched at most because a token names a key
	// that is not known: anybody can make up names.
	refreshUnknown = 10 * time.Second
	fetchTimeout   = 5 * time.Second
	maxKeys        = 1 << 20 // bytes of a JWK set
)

// publicKeys are those at a URL (RFC 7517), fetched again now and then, and when a
// token names one that is not among them.
type publicKeys struct {
	keys     keyfunc.Keyfunc
	failing  atomic.Bool // the last fetch did not succeed
	fetching singleflight.Group
}

// newPublicKeys verifies tokens by the public keys at opts.JWKSURL. It does not fail
// if they cannot be fetched yet.
func newPublicKeys(ctx context.Context, opts Options) (*tokens, error) {
	p := &publicKeys{}
	var err error
	p.keys, err = keyfunc.NewDefaultOverrideCtx(ctx, []string{opts.JWKSURL}, keyfunc.Override{
		Client: &http.Client{
			Transport:     &watched{p, http.DefaultTransport},
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
		return nil, errors.New("the URL of the JWK set cannot be used")
	}
	// Each algorithm fits one kind of key, and the library holds the key to that.
	t := newTokens(opts, "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
	t.key = p.find
	return t, nil
}

func (p *publicKeys) failed(ctx context.Context, log *slog.Logger, err error) {
	p.failing.Store(true)
	log.WarnContext(ctx, "the public keys of tokens could not be fetched: those that are known stay", "error", hooks.WithoutURL(err))
}

// find is the key that a token names. All that wait for the same one wait for one fetch.
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
		return nil, errAuthUnavailable
	}
	return key, err
}

// watched notes whether a fetch succeeds, and takes no more than a set of keys may have.
type watched struct {
	keys *publicKeys
	next http.RoundTripper
}

func (w *watched) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	w.keys.failing.Store(false) // or failed will say so
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxKeys), resp.Body}
	return resp, nil
}
