package protocol

import (
	"log/slog"
	"net/http/httptest"
	"testing"
)

// A page may send cookies only if Credentials is set, and its scripts can read a response
// only if its origin is allowed.
func TestCORSAllowsCredentialsOnlyWhereConfigured(t *testing.T) {
	const page = "https://app.example"
	for name, c := range map[string]struct {
		cors        CORS
		origin      string
		credentials string
	}{
		"every page":                      {CORS{Origins: []string{"*"}}, "*", ""},
		"a page, without":                 {CORS{Origins: []string{page}}, page, ""},
		"a page, with":                    {CORS{Origins: []string{page}, Credentials: true}, page, "true"},
		"another page":                    {CORS{Origins: []string{"https://other.example"}, Credentials: true}, "", ""},
		"pages of a domain, without":      {CORS{Origins: []string{"https://*.example"}}, page, ""},
		"none":                            {CORS{}, "", ""},
		"none, though credentials may be": {CORS{Credentials: true}, "", ""},
	} {
		router := Router(c.cors, Options{Log: slog.New(slog.DiscardHandler)}, overridingProtocol{})
		for _, method := range []string{"OPTIONS", "GET", "PUT", "HEAD"} {
			r := httptest.NewRequest(method, "/files/x", nil)
			r.Header.Set("Origin", page)
			if method == "OPTIONS" {
				r.Header.Set("Access-Control-Request-Method", "PUT")
			}
			rec := httptest.NewRecorder()
			router.ServeHTTP(rec, r)
			h := rec.Header()
			if o, c0 := h.Get("Access-Control-Allow-Origin"), h.Get("Access-Control-Allow-Credentials"); o != c.origin || c0 != c.credentials {
				t.Errorf("%s, %s: origin %q, credentials %q; want %q, %q", name, method, o, c0, c.origin, c.credentials)
			}
		}
	}
}
