package auth_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/holdfast-upload/holdfast/hooks/auth"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
)

// openProtocol accepts every request, and records its principal.
type openProtocol struct{ principal protocol.Principal }

func (*openProtocol) Name() string                  { return "open" }
func (*openProtocol) Matches(*http.Request) bool    { return true }
func (*openProtocol) AddOptionsHeaders(http.Header) {}
func (o *openProtocol) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.principal, _ = protocol.PrincipalFrom(r.Context())
	w.WriteHeader(http.StatusNoContent)
}

// route returns a router that authenticates requests to a protocol.
func route(a *auth.Auth, p protocol.Protocol) http.Handler {
	return protocol.Router(protocol.CORS{}, protocol.Options{
		URLs: protocol.URLs{BasePath: "/files/"}, Redact: auth.RedactTickets, Guards: []protocol.Guard{a.Authenticate}, Log: slog.New(slog.DiscardHandler),
	}, p)
}

// protect returns a function that sends a request through authentication to a protocol. It
// returns the status, and the principal that the protocol got.
func protect(t *testing.T, opts auth.Options) func(r *http.Request) (int, protocol.Principal) {
	t.Helper()
	opts.URLs = protocol.URLs{BasePath: "/files/"}
	a, err := auth.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	open := &openProtocol{}
	handler := route(a, open)
	return func(r *http.Request) (int, protocol.Principal) {
		rec := httptest.NewRecorder()
		open.principal = protocol.Principal{}
		handler.ServeHTTP(rec, r.WithContext(context.Background()))
		return rec.Code, open.principal
	}
}

// signed returns a JWT with any type and claims, signed with the secret.
func signed(t *testing.T, typ any, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
	if token.Header["typ"] = typ; typ == nil {
		delete(token.Header, "typ")
	}
	text, err := token.SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// withClaim returns a copy of claims with one changed, or removed if value is nil.
func withClaim(claims jwt.MapClaims, name string, value any) jwt.MapClaims {
	out := jwt.MapClaims{}
	for n, v := range claims {
		out[n] = v
	}
	if out[name] = value; value == nil {
		delete(out, name)
	}
	return out
}

const (
	ticketTyp = "holdfast-ticket+jwt"
	ticketAud = "urn:holdfast:ticket"
)

// An app that signs tickets itself may forget a field. A missing field never means "no
// limit", even if the signature is valid.
func TestATicketWithInvalidOrMissingClaimsIsRejected(t *testing.T) {
	serve := protect(t, auth.Options{TicketSecrets: []string{secret}})
	good := jwt.MapClaims{"aud": ticketAud, "exp": time.Now().Add(time.Hour).Unix(), "sub": "anna", "upload": "it"}
	for name, c := range map[string]struct {
		typ    any
		claims jwt.MapClaims
		want   int
	}{
		"a good one":         {ticketTyp, good, 204},
		"no sub":             {ticketTyp, withClaim(good, "sub", nil), 204},
		"no exp":             {ticketTyp, withClaim(good, "exp", nil), 401},
		"exp 0":              {ticketTyp, withClaim(good, "exp", 0), 401},
		"exp in the past":    {ticketTyp, withClaim(good, "exp", time.Now().Add(-time.Hour).Unix()), 401},
		"exp that is text":   {ticketTyp, withClaim(good, "exp", "never"), 401},
		"exp in quotes":      {ticketTyp, withClaim(good, "exp", "4102444800"), 401},
		"a negative exp":     {ticketTyp, withClaim(good, "exp", -1), 401},
		"not valid yet":      {ticketTyp, withClaim(good, "nbf", time.Now().Add(time.Hour).Unix()), 401},
		"no aud":             {ticketTyp, withClaim(good, "aud", nil), 401},
		"another aud":        {ticketTyp, withClaim(good, "aud", "app"), 401},
		"no typ":             {nil, good, 401},
		"the typ of a token": {"JWT", good, 401},
		"no upload":          {ticketTyp, withClaim(good, "upload", nil), 401},
		"a bad upload":       {ticketTyp, withClaim(good, "upload", "../it"), 401},
		"a negative size":    {ticketTyp, withClaim(good, "maxSize", -1), 401},
		"another upload":     {ticketTyp, withClaim(good, "upload", "that"), 403},
	} {
		for _, inHeader := range []bool{false, true} {
			ticket := signed(t, c.typ, c.claims)
			r := httptest.NewRequest("GET", auth.TicketURL("/files/it", ticket), nil)
			if inHeader {
				r = httptest.NewRequest("GET", "/files/it", nil)
				r.Header.Set("Upload-Ticket", ticket)
			}
			if got, _ := serve(r); got != c.want {
				t.Errorf("%s, in a header %v: %d, want %d", name, inHeader, got, c.want)
			}
		}
	}
}

func TestATokenWithInvalidOrMissingClaimsIsRejected(t *testing.T) {
	opts := auth.Options{JWTSecrets: []string{secret}, TicketSecrets: []string{secret}, Issuer: "app", Audience: "uploads"}
	serve := protect(t, opts)
	good := jwt.MapClaims{"iss": "app", "aud": "uploads", "exp": time.Now().Add(time.Hour).Unix(), "sub": "anna"}
	for name, c := range map[string]struct {
		typ    any
		claims jwt.MapClaims
		want   int
	}{
		"a good one":           {"JWT", good, 204},
		"exp in quotes":        {"JWT", withClaim(good, "exp", "4102444800"), 401},
		"nbf in quotes":        {"JWT", withClaim(good, "nbf", "1"), 401},
		"no exp":               {"JWT", withClaim(good, "exp", nil), 401},
		"exp 0":                {"JWT", withClaim(good, "exp", 0), 401},
		"expired":              {"JWT", withClaim(good, "exp", time.Now().Add(-time.Hour).Unix()), 401},
		"not valid yet":        {"JWT", withClaim(good, "nbf", time.Now().Add(time.Hour).Unix()), 401},
		"no sub":               {"JWT", withClaim(good, "sub", nil), 401},
		"an empty sub":         {"JWT", withClaim(good, "sub", ""), 401},
		"no iss":               {"JWT", withClaim(good, "iss", nil), 401},
		"another iss":          {"JWT", withClaim(good, "iss", "other"), 401},
		"no aud":               {"JWT", withClaim(good, "aud", nil), 401},
		"another aud":          {"JWT", withClaim(good, "aud", "other"), 401},
		"the typ of a ticket":  {ticketTyp, good, 401},
		"the aud of a ticket":  {"JWT", withClaim(good, "aud", []string{"uploads", ticketAud}), 401},
		"a negative limit":     {"JWT", withClaim(good, "holdfast", map[string]any{"maxSize": -1}), 401},
		"a negative count":     {"JWT", withClaim(good, "holdfast", map[string]any{"maxLive": -1}), 401},
		"a negative lifetime":  {"JWT", withClaim(good, "holdfast", map[string]any{"expireAfter": -1}), 401},
		"a lifetime too large": {"JWT", withClaim(good, "holdfast", map[string]any{"expireAfter": int64(1) << 53}), 401},
		"limits that are text": {"JWT", withClaim(good, "holdfast", "all"), 401},
	} {
		r := httptest.NewRequest("GET", "/files/it", nil)
		r.Header.Set("Authorization", "Bearer "+signed(t, c.typ, c.claims))
		if got, principal := serve(r); got != c.want || got == 204 && principal.Subject != "anna" {
			t.Errorf("%s: %d as %q, want %d", name, got, principal.Subject, c.want)
		}
	}
	r := httptest.NewRequest("GET", "/files/it", nil)
	r.Header.Set("Authorization", "Bearer "+signed(t, "JWT", withClaim(good, "holdfast", map[string]any{"maxSize": 5, "maxLive": 6, "expireAfter": 7, "idPrefix": "a-", "contentTypes": []string{"image/*"}})))
	_, principal := serve(r)
	if l := principal.Limits; l.MaxSize != 5 || l.MaxIncomplete != 6 || l.ExpireAfter != 7*time.Second || l.IDPrefix != "a-" || len(l.ContentTypes) != 1 {
		t.Errorf("limits %+v", l)
	}
}

// A token must not choose its algorithm or key.
func TestATokenWithAnotherAlgorithmOrKeyIsRejected(t *testing.T) {
	serve := protect(t, auth.Options{JWTSecrets: []string{secret}, TicketSecrets: []string{secret}})
	claims := jwt.MapClaims{"exp": time.Now().Add(time.Hour).Unix(), "sub": "anna", "aud": ticketAud, "upload": "it"}
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	stronger, err := jwt.NewWithClaims(jwt.SigningMethodHS512, claims).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	other, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret + "!"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"none": none, "HS512": stronger, "another key": other, "": ""} {
		r := httptest.NewRequest("GET", "/files/it", nil)
		r.Header.Set("Authorization", "Bearer "+text)
		if got, _ := serve(r); got != 401 {
			t.Errorf("a token signed by %s: %d, want 401", name, got)
		}
		r = httptest.NewRequest("GET", "/files/it", nil)
		r.Header.Set("Upload-Ticket", text)
		if got, _ := serve(r); got != 401 {
			t.Errorf("a ticket signed by %s: %d, want 401", name, got)
		}
	}
	r := httptest.NewRequest("GET", "/files/it", nil)
	for range 2 {
		r.Header.Add("Authorization", "Bearer "+signed(t, "JWT", jwt.MapClaims{"exp": claims["exp"], "sub": "anna"}))
	}
	if got, _ := serve(r); got != 401 {
		t.Errorf("two tokens: %d, want 401", got)
	}
}
