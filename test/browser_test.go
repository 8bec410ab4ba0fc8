package test

import (
	"crypto/tls"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

func base64Of(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// secure are the headers of every answer.
var secure = map[string]string{
	"X-Content-Type-Options":       "nosniff",
	"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'; sandbox",
	"Referrer-Policy":              "no-referrer",
	"Cross-Origin-Resource-Policy": "cross-origin",
}

func wantSecure(t *testing.T, what string, h http.Header) {
	t.Helper()
	for name, want := range secure {
		if got := strings.Join(h.Values(name), " AND "); got != want {
			t.Errorf("%s: %s: %q, want %q", what, name, got, want)
		}
	}
}

func TestEveryAnswerKeepsBrowsersInBounds(t *testing.T) {
	t.Parallel()
	s := start(t)
	origin := "Origin: https://app.example"
	for _, c := range []struct {
		method, url string
		fields      []string
		want        int
	}{
		{"OPTIONS", s.URL(""), []string{origin}, 200},
		{"POST", s.URL(""), []string{tusVersion, "Upload-Length: 5"}, 201},
		{"POST", s.URL(""), []string{tusVersion}, 400},
		{"PUT", s.URL("a"), []string{"Content-Range: bytes 0-0/5"}, 400},
		{"GET", s.URL("none"), nil, 404},
		{"GET", "http://" + s.Addr + "/", nil, 404},
		{"GET", "http://" + s.Addr + "/healthz", nil, 200},
		{"GET", "http://" + s.Addr + "/readyz", nil, 200},
	} {
		answer := ask(t, c.method, c.url, nil, c.fields, c.want)
		wantSecure(t, c.method+" "+c.url, answer.Header)
	}
}

// A client that uploads a page must not run its scripts where others upload.
func TestUploadedPageCannotRunInOurOrigin(t *testing.T) {
	t.Parallel()
	s := start(t)
	page := "<html><script>alert(document.domain)</script></html>"
	ask(t, "PUT", s.URL("page.html"), strings.NewReader(page), []string{"Content-Type: text/html", `Content-Disposition: inline; filename="page.html"`}, 201)
	byTus := ask(t, "POST", s.URL(""), strings.NewReader(page), []string{tusVersion, offsetBytes, "Upload-Length: 52",
		"Upload-Metadata: filename " + base64Of("page.svg") + ",filetype " + base64Of("image/svg+xml")}, 201)
	for _, url := range []string{s.URL("page.html"), byTus.Header.Get("Location")} {
		for _, fields := range [][]string{nil, {tusVersion}, {"Range: bytes=0-9"}, {"Accept: text/html"}, {"Origin: https://evil.example"}} {
			answer := ask(t, "GET", url, nil, fields, 200, 206)
			wantSecure(t, url, answer.Header)
			if d := answer.Header.Get("Content-Disposition"); !strings.HasPrefix(d, "attachment") {
				t.Errorf("%s %v: Content-Disposition: %q: it would be shown", url, fields, d)
			}
		}
	}
}

func TestOnlyNamedOriginsMaySendCookies(t *testing.T) {
	t.Parallel()
	s := start(t, "--cors-origin", "https://app.example,https://*.trusted.example", "--cors-credentials")
	for origin, allowed := range map[string]bool{
		"https://app.example": true, "https://a.trusted.example": true,
		"https://evil.example": false, "http://app.example": false, "https://app.example.evil.example": false, "null": false,
	} {
		for _, method := range []string{"OPTIONS", "GET"} {
			answer := ask(t, method, s.URL("none"), nil, []string{"Origin: " + origin, "Access-Control-Request-Method: PUT"}, 200, 404)
			want, with := "", ""
			if allowed {
				want, with = origin, "true"
			}
			h := answer.Header
			if h.Get("Access-Control-Allow-Origin") != want || h.Get("Access-Control-Allow-Credentials") != with {
				t.Errorf("%s from %s: %q, credentials %q", method, origin, h.Get("Access-Control-Allow-Origin"), h.Get("Access-Control-Allow-Credentials"))
			}
			if got := h.Get("Cross-Origin-Resource-Policy"); got != "same-site" {
				t.Errorf("Cross-Origin-Resource-Policy: %q", got)
			}
		}
	}
}

// A page has to be able to read that its token has expired.
func TestRefusalIsReadableFromAPage(t *testing.T) {
	t.Parallel()
	s := guarded(t)
	h := ask(t, "PUT", s.URL("it"), strings.NewReader("x"), []string{"Origin: https://app.example"}, 401).Header
	if h.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(h.Get("Access-Control-Expose-Headers"), "WWW-Authenticate") &&
		!strings.Contains(h.Get("Access-Control-Expose-Headers"), "Www-Authenticate") {
		t.Errorf("%v", h)
	}
	wantSecure(t, "401", h)
}

func TestBrowsersStayOnHTTPS(t *testing.T) {
	t.Parallel()
	cert, key, roots := selfSigned(t)
	s := start(t, "--tls-cert", cert, "--tls-key", key)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	answer, err := Do(client, request(t, "GET", "https://"+s.Addr+"/files/none", nil))
	if err != nil {
		t.Fatal(err)
	}
	if h := answer.Header.Get("Strict-Transport-Security"); !strings.HasPrefix(h, "max-age=") {
		t.Errorf("Strict-Transport-Security: %q", h)
	}
	if plain := ask(t, "GET", start(t).URL("none"), nil, nil, 404); plain.Header.Get("Strict-Transport-Security") != "" {
		t.Error("Strict-Transport-Security without TLS")
	}
}
