package test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/holdfast-upload/holdfast/hooks/auth"
)

// Secrets for tests alone.
const (
	TokenSecret  = "a-secret-of-tokens-for-tests-alone"
	TicketSecret = "a-secret-of-tickets-for-tests-alone"
)

// Claims returns the claims of a token for a user, valid for an hour, and those added.
func Claims(subject string, more ...map[string]any) jwt.MapClaims {
	c := jwt.MapClaims{"sub": subject, "exp": time.Now().Add(time.Hour).Unix()}
	for _, m := range more {
		for name, value := range m {
			c[name] = value
		}
	}
	return c
}

// Signed is a token with these claims. It panics if the key does not fit.
func Signed(method jwt.SigningMethod, key any, kid string, claims jwt.MapClaims) string {
	token := jwt.NewWithClaims(method, claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(key)
	if err != nil {
		panic(err)
	}
	return text
}

// Token returns a token for a user, signed with TokenSecret.
func Token(subject string, more ...map[string]any) string {
	return Signed(jwt.SigningMethodHS256, []byte(TokenSecret), "", Claims(subject, more...))
}

// Bearer is the header field with a token.
func Bearer(token string) string { return "Authorization: Bearer " + token }

// TicketFor is a ticket, signed with TicketSecret, that is good for an hour unless it
// says else. It panics if it cannot be one.
func TicketFor(t auth.Ticket) string {
	if t.Expires.IsZero() {
		t.Expires = time.Now().Add(time.Hour)
	}
	text, err := auth.Sign(TicketSecret, t)
	if err != nil {
		panic(err)
	}
	return text
}

// Issuer is a server of public keys, whose private keys sign tokens.
type Issuer struct {
	*httptest.Server

	mu      sync.Mutex
	keys    map[string]crypto.Signer
	fetched int
	status  int // in place of 200, if set
}

// NewIssuer starts an Issuer without keys. Close it after use.
func NewIssuer() *Issuer {
	i := &Issuer{keys: map[string]crypto.Signer{}}
	i.Server = httptest.NewServer(i)
	return i
}

// Fetched is how often the keys were asked for.
func (i *Issuer) Fetched() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetched
}

// Fail makes the server answer with a status instead of keys; 0 ends that.
func (i *Issuer) Fail(status int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.status = status
}

// Add makes a key: kind is RS256, ES256 or EdDSA.
func (i *Issuer) Add(kid, kind string) crypto.Signer {
	var key crypto.Signer
	var err error
	switch kind {
	case "RS256":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		panic(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys[kid] = key
	return key
}

// Remove withdraws a key.
func (i *Issuer) Remove(kid string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.keys, kid)
}

func (i *Issuer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fetched++
	if i.status != 0 {
		w.WriteHeader(i.status)
		return
	}
	list := []map[string]string{}
	for kid, key := range i.keys {
		list = append(list, publicJWK(kid, key.Public()))
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": list})
}

func publicJWK(kid string, key crypto.PublicKey) map[string]string {
	text := base64.RawURLEncoding.EncodeToString
	switch k := key.(type) {
	case *rsa.PublicKey:
		return map[string]string{"kid": kid, "kty": "RSA", "n": text(k.N.Bytes()), "e": text(big.NewInt(int64(k.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			panic(err)
		}
		return map[string]string{"kid": kid, "kty": "EC", "crv": "P-256", "x": text(point[1:33]), "y": text(point[33:])}
	case ed25519.PublicKey:
		return map[string]string{"kid": kid, "kty": "OKP", "crv": "Ed25519", "x": text(k)}
	}
	panic("no such key")
}
