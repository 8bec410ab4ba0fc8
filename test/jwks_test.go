package test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func methodOf(kind string) jwt.SigningMethod { return jwt.GetSigningMethod(kind) }

func TestPublicKeysAreRotated(t *testing.T) {
	t.Parallel()
	issuer := NewIssuer()
	t.Cleanup(issuer.Close)
	old := issuer.Add("old", "RS256")
	s := start(t, "--auth-jwks-url", issuer.URL, "--auth-jwt-issuer", "https://app.example", "--auth-jwt-audience", "uploads")
	claims := Claims("anna", map[string]any{"iss": "https://app.example", "aud": []string{"uploads", "else"}})
	get := func(token string, want int) {
		t.Helper()
		ask(t, "GET", s.URL("none"), nil, []string{Bearer(token)}, want)
	}
	for range 20 {
		get(Signed(methodOf("RS256"), old, "old", claims), 404)
	}
	if n := issuer.Fetched(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
	get(Signed(methodOf("RS256"), old, "old", Claims("anna", map[string]any{"iss": "https://app.example"})), 401)
	get(Signed(methodOf("RS256"), old, "old", Claims("anna", map[string]any{"iss": "https://evil.example", "aud": "uploads"})), 401)

	// New keys of other kinds, which were not announced. All requests wait for one fetch.
	elliptic, edwards := issuer.Add("new", "ES256"), issuer.Add("newer", "EdDSA")
	issuer.Remove("old")
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() { get(Signed(methodOf("ES256"), elliptic, "new", claims), 404) })
	}
	wait.Wait()
	get(Signed(methodOf("EdDSA"), edwards, "newer", claims), 404)
	get(Signed(methodOf("EdDSA"), edwards, "", claims), 404) // without a name, any key may be it
	if n := issuer.Fetched(); n != 2 {
		t.Errorf("the keys were fetched %d times", n)
	}
	// A key that was withdrawn does not count any more.
	get(Signed(methodOf("RS256"), old, "", claims), 401)
	// Names that are made up do not make the server fetch at will.
	began := time.Now()
	for range 5 {
		get(Signed(methodOf("ES256"), elliptic, "made-up-"+time.Now().String(), claims), 401)
	}
	if n := issuer.Fetched(); n > 3 || time.Since(began) > 30*time.Second {
		t.Errorf("%d fetches in %v", n, time.Since(began))
	}
}

// A set of keys is fetched where the settings say, and nowhere else.
func TestPublicKeysAreNotFetchedFromElsewhere(t *testing.T) {
	t.Parallel()
	issuer := NewIssuer()
	t.Cleanup(issuer.Close)
	key := issuer.Add("one", "ES256")
	elsewhere := httptest.NewServer(http.RedirectHandler(issuer.URL, http.StatusFound))
	t.Cleanup(elsewhere.Close)
	s := start(t, "--auth-jwks-url", elsewhere.URL)
	token := jwt.NewWithClaims(methodOf("ES256"), Claims("anna"))
	token.Header["kid"], token.Header["jku"], token.Header["x5u"] = "one", issuer.URL, issuer.URL
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	ask(t, "GET", s.URL("none"), nil, []string{Bearer(text)}, 503)
	if n := issuer.Fetched(); n != 0 {
		t.Errorf("keys were fetched %d times from where a redirect or the token leads", n)
	}
}

func TestTokensWaitWhileTheKeysCannotBeFetched(t *testing.T) {
	t.Parallel()
	issuer := NewIssuer()
	t.Cleanup(issuer.Close)
	key := issuer.Add("one", "ES256")
	issuer.Fail(http.StatusInternalServerError)
	s := start(t, "--auth-jwks-url", issuer.URL)
	bearer := Bearer(Signed(methodOf("ES256"), key, "one", Claims("anna")))
	ask(t, "PUT", s.URL("early"), strings.NewReader("x"), []string{bearer}, 503)
	issuer.Fail(0)
	eventually(t, time.Minute, "the keys are there", func() bool {
		answer, err := Do(http.DefaultClient, request(t, "PUT", s.URL("early"), strings.NewReader("x"), bearer))
		return err == nil && answer.Status == http.StatusCreated
	})
	issuer.Fail(http.StatusInternalServerError)
	ask(t, "GET", s.URL("early"), nil, []string{bearer}, 200) // what is known stays
}
