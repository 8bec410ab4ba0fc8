package auth_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/holdfast-upload/holdfast/hooks/auth"
)

// RFC 7515, section 4.1.11: what a token demands and the server does not understand makes
// the token invalid, even if the signature is valid.
func TestATokenWithCriticalExtensionsIsRejected(t *testing.T) {
	serve := protect(t, auth.Options{JWTSecrets: []string{secret}, TicketSecrets: []string{secret}})
	exp := time.Now().Add(time.Hour).Unix()
	for _, crit := range []any{[]string{"exp"}, []string{"b64"}, []string{}, nil, "text"} {
		for name, c := range map[string]struct {
			typ    string
			claims jwt.MapClaims
		}{
			"Authorization": {"JWT", jwt.MapClaims{"exp": exp, "sub": "anna"}},
			"Upload-Ticket": {ticketTyp, jwt.MapClaims{"exp": exp, "aud": ticketAud, "upload": "it"}},
		} {
			token := jwt.NewWithClaims(jwt.SigningMethodHS256, c.claims)
			token.Header["typ"], token.Header["crit"] = c.typ, crit
			text, err := token.SignedString([]byte(secret))
			if err != nil {
				t.Fatal(err)
			}
			if name == "Authorization" {
				text = "Bearer " + text
			}
			r := httptest.NewRequest("GET", "/files/it", nil)
			r.Header.Set(name, text)
			if got, _ := serve(r); got != 401 {
				t.Errorf("%s with crit %v: %d, want 401", name, crit, got)
			}
		}
	}
}
