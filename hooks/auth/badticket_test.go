package auth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/hooks/auth"
)

// open is a door that lets everybody who gets to it in.
type open struct{ caller hooks.Principal }

func (*open) Name() string                  { return "open" }
func (*open) Matches(*http.Request) bool    { return true }
func (*open) AddOptionsHeaders(http.Header) {}
func (o *open) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.caller, _ = hooks.PrincipalFrom(r.Context())
	w.WriteHeader(http.StatusNoContent)
}

// behind starts a door behind the guard, and returns what asks it: the status, and who
// the door was told is asking.
func behind(t *testing.T, opts auth.Options) func(r *http.Request) (int, hooks.Principal) {
	t.Helper()
	opts.URLs = hooks.URLs{BasePath: "/files/"}
	a, err := auth.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	door := &open{}
	guarded := a.RedactTickets(a.Middleware(door))
	return func(r *http.Request) (int, hooks.Principal) {
		rec := httptest.NewRecorder()
		door.caller = hooks.Principal{}
		guarded.ServeHTTP(rec, r.WithContext(context.Background()))
		return rec.Code, door.caller
	}
}

// signed is a JWT with any header and claims, signed with the secret.
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

// with is a copy of claims in which one is another, or is missing if that is nil.
func with(claims jwt.MapClaims, name string, value any) jwt.MapClaims {
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

// An app that signs tickets itself may forget something: what is missing is never taken
// for "no limit", however well it is signed.
func TestATicketThatLacksSomethingIsRefused(t *testing.T) {
	ask := behind(t, auth.Options{TicketSecrets: []string{secret}})
	good := jwt.MapClaims{"aud": ticketAud, "exp": time.Now().Add(time.Hour).Unix(), "sub": "anna", "upload": "it"}
	for name, c := range map[string]struct {
		typ    any
		claims jwt.MapClaims
		want   int
	}{
		"a good one":         {ticketTyp, good, 204},
		"one for nobody":     {ticketTyp, with(good, "sub", nil), 204},
		"no exp":             {ticketTyp, with(good, "exp", nil), 401},
		"exp 0":              {ticketTyp, with(good, "exp", 0), 401},
		"exp in the past":    {ticketTyp, with(good, "exp", time.Now().Add(-time.Hour).Unix()), 401},
		"exp that is text":   {ticketTyp, with(good, "exp", "never"), 401},
		"exp of another age": {ticketTyp, with(good, "exp", -1), 401},
		"not valid yet":      {ticketTyp, with(good, "nbf", time.Now().Add(time.Hour).Unix()), 401},
		"no aud":             {ticketTyp, with(good, "aud", nil), 401},
		"another aud":        {ticketTyp, with(good, "aud", "app"), 401},
		"no typ":             {nil, good, 401},
		"the typ of a token": {"JWT", good, 401},
		"no upload":          {ticketTyp, with(good, "upload", nil), 401},
		"a bad upload":       {ticketTyp, with(good, "upload", "../it"), 401},
		"a negative size":    {ticketTyp, with(good, "maxSize", -1), 401},
		"another upload":     {ticketTyp, with(good, "upload", "that"), 403},
	} {
		for _, inHeader := range []bool{false, true} {
			ticket := signed(t, c.typ, c.claims)
			r := httptest.NewRequest("GET", auth.TicketURL("/files/it", ticket), nil)
			if inHeader {
				r = httptest.NewRequest("GET", "/files/it", nil)
				r.Header.Set("Upload-Ticket", ticket)
			}
			if got, _ := ask(r); got != c.want {
				t.Errorf("%s, in a header %v: %d, want %d", name, inHeader, got, c.want)
			}
		}
	}
}

// The same for tokens.
func TestATokenThatLacksSomethingIsRefused(t *testing.T) {
	opts := auth.Options{JWTSecrets: []string{secret}, TicketSecrets: []string{secret}, Issuer: "app", Audience: "uploads"}
	ask := behind(t, opts)
	good := jwt.MapClaims{"iss": "app", "aud": "uploads", "exp": time.Now().Add(time.Hour).Unix(), "sub": "anna"}
	for name, c := range map[string]struct {
		typ    any
		claims jwt.MapClaims
		want   int
	}{
		"a good one":           {"JWT", good, 204},
		"no exp":               {"JWT", with(good, "exp", nil), 401},
		"exp 0":                {"JWT", with(good, "exp", 0), 401},
		"expired":              {"JWT", with(good, "exp", time.Now().Add(-time.Hour).Unix()), 401},
		"not valid yet":        {"JWT", with(good, "nbf", time.Now().Add(time.Hour).Unix()), 401},
		"no sub":               {"JWT", with(good, "sub", nil), 401},
		"an empty sub":         {"JWT", with(good, "sub", ""), 401},
		"no iss":               {"JWT", with(good, "iss", nil), 401},
		"another iss":          {"JWT", with(good, "iss", "other"), 401},
		"no aud":               {"JWT", with(good, "aud", nil), 401},
		"another aud":          {"JWT", with(good, "aud", "other"), 401},
		"the typ of a ticket":  {ticketTyp, good, 401},
		"the aud of a ticket":  {"JWT", with(good, "aud", []string{"uploads", ticketAud}), 401},
		"a negative limit":     {"JWT", with(good, "holdfast", map[string]any{"maxSize": -1}), 401},
		"a negative count":     {"JWT", with(good, "holdfast", map[string]any{"maxLive": -1}), 401},
		"a negative lifetime":  {"JWT", with(good, "holdfast", map[string]any{"expireAfter": -1}), 401},
		"a lifetime too large": {"JWT", with(good, "holdfast", map[string]any{"expireAfter": int64(1) << 53}), 401},
		"limits that are text": {"JWT", with(good, "holdfast", "all"), 401},
	} {
		r := httptest.NewRequest("GET", "/files/it", nil)
		r.Header.Set("Authorization", "Bearer "+signed(t, c.typ, c.claims))
		if got, caller := ask(r); got != c.want || got == 204 && caller.Subject != "anna" {
			t.Errorf("%s: %d as %q, want %d", name, got, caller.Subject, c.want)
		}
	}
	r := httptest.NewRequest("GET", "/files/it", nil)
	r.Header.Set("Authorization", "Bearer "+signed(t, "JWT", with(good, "holdfast", map[string]any{"maxSize": 5, "maxLive": 6, "expireAfter": 7, "idPrefix": "a-", "contentTypes": []string{"image/*"}})))
	_, caller := ask(r)
	if l := caller.Limits; l.MaxSize != 5 || l.MaxIncomplete != 6 || l.ExpireAfter != 7*time.Second || l.IDPrefix != "a-" || len(l.ContentTypes) != 1 {
		t.Errorf("limits %+v", l)
	}
}

// Neither the algorithm nor the key is the token's to choose.
func TestATokenSignedOtherwiseIsRefused(t *testing.T) {
	ask := behind(t, auth.Options{JWTSecrets: []string{secret}, TicketSecrets: []string{secret}})
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
		if got, _ := ask(r); got != 401 {
			t.Errorf("a token signed by %s: %d, want 401", name, got)
		}
		r = httptest.NewRequest("GET", "/files/it", nil)
		r.Header.Set("Upload-Ticket", text)
		if got, _ := ask(r); got != 401 {
			t.Errorf("a ticket signed by %s: %d, want 401", name, got)
		}
	}
	r := httptest.NewRequest("GET", "/files/it", nil)
	for range 2 {
		r.Header.Add("Authorization", "Bearer "+signed(t, "JWT", jwt.MapClaims{"exp": claims["exp"], "sub": "anna"}))
	}
	if got, _ := ask(r); got != 401 {
		t.Errorf("two tokens: %d, want 401", got)
	}
}
