package protocol

import (
	"crypto/tls"
	"net/http/httptest"
	"testing"
)

func TestUploadURLUsesTheOriginThatTheClientReached(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers map[string]string
		tls     bool
		trust   bool
		want    string
	}{
		{"plain", nil, false, true, "http://up.test:8080/files/abc"},
		{"over TLS", nil, true, true, "https://up.test:8080/files/abc"},
		{"X-Forwarded", map[string]string{"X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example"}, false, true, "https://a.example/files/abc"},
		{"several proxies: the first", map[string]string{"X-Forwarded-Proto": "https, http", "X-Forwarded-Host": "a.example, b.example"}, false, true, "https://a.example/files/abc"},
		{"upper case", map[string]string{"X-Forwarded-Proto": "HTTPS", "X-Forwarded-Host": "a.example"}, false, true, "https://a.example/files/abc"},
		{"invalid scheme", map[string]string{"X-Forwarded-Proto": "javascript"}, false, true, "http://up.test:8080/files/abc"},
		{"Forwarded", map[string]string{"Forwarded": `for=1.2.3.4;host="a.example:444";proto=https`}, false, true, "https://a.example:444/files/abc"},
		{"default port is omitted", map[string]string{"X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example:443"}, false, true, "https://a.example/files/abc"},
		{"not trusted", map[string]string{"X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example"}, false, false, "http://up.test:8080/files/abc"},
		{"X-Forwarded-Port", map[string]string{"X-Forwarded-Host": "a.example", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "8443"}, false, true, "https://a.example:8443/files/abc"},
		{"a default X-Forwarded-Port", map[string]string{"X-Forwarded-Host": "a.example", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443"}, false, true, "https://a.example/files/abc"},
		{"X-Forwarded-Port beside a port", map[string]string{"X-Forwarded-Host": "a.example:1", "X-Forwarded-Port": "2"}, false, true, "http://a.example:1/files/abc"},
		{"X-Forwarded-Port that is none", map[string]string{"X-Forwarded-Host": "a.example", "X-Forwarded-Port": "80@evil"}, false, true, "http://a.example/files/abc"},
		{"X-Forwarded-Port of IPv6", map[string]string{"X-Forwarded-Host": "[::2]", "X-Forwarded-Port": "81"}, false, true, "http://[::2]:81/files/abc"},
		{"X-Forwarded-Prefix", map[string]string{"X-Forwarded-Prefix": "/api/v1/"}, false, true, "http://up.test:8080/api/v1/files/abc"},
		{"invalid X-Forwarded-Prefix", map[string]string{"X-Forwarded-Prefix": "//evil.example"}, false, true, "http://up.test:8080/files/abc"},
		{"X-Forwarded-Prefix with dots", map[string]string{"X-Forwarded-Prefix": "/a/.."}, false, true, "http://up.test:8080/files/abc"},
		{"X-Forwarded-Prefix, not trusted", map[string]string{"X-Forwarded-Prefix": "/api", "X-Forwarded-Port": "1"}, false, false, "http://up.test:8080/files/abc"},
		{"invalid host", map[string]string{"X-Forwarded-Host": "a.example/evil?x="}, false, true, "http://up.test:8080/files/abc"},
	} {
		r := httptest.NewRequest("POST", "http://up.test:8080/files/", nil)
		if r.TLS = nil; c.tls {
			r.TLS = &tls.ConnectionState{}
		}
		for k, v := range c.headers {
			r.Header.Set(k, v)
		}
		urls := URLs{BasePath: "/files/", TrustForwarded: c.trust}
		if got := urls.Upload(r, "abc"); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestIDIsWhatFollowsTheBasePath(t *testing.T) {
	urls := URLs{BasePath: "/files/"}
	for path, want := range map[string]string{
		"/files": "", "/files/": "", "/files/abc": "abc", "/files/abc/": "abc", "/files/a/b": "a/b",
		"/files/a%2Fb": "a/b", "/files/..": "..", "/files/a%00b": "a\x00b",
	} {
		if got := urls.ID(httptest.NewRequest("GET", path, nil)); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestClientIsTheAddressThatTheNearestProxyReports(t *testing.T) {
	for _, c := range []struct {
		forwarded []string
		trust     bool
		want      string
	}{
		{nil, true, "192.0.2.1"},
		{[]string{"198.51.100.7"}, true, "198.51.100.7"},
		{[]string{"198.51.100.7"}, false, "192.0.2.1"},
		{[]string{"6.6.6.6, 198.51.100.7"}, true, "198.51.100.7"},
		{[]string{"6.6.6.6", "198.51.100.7"}, true, "198.51.100.7"},
		{[]string{"::ffff:198.51.100.7"}, true, "198.51.100.7"},
		{[]string{"2001:db8::1%eth0"}, true, "2001:db8::1"},
		{[]string{"198.51.100.7:1000"}, true, "198.51.100.7"},
		{[]string{"6.6.6.6:1, [2001:db8::1]:1000"}, true, "2001:db8::1"},
		{[]string{"[::ffff:198.51.100.7]:1000"}, true, "198.51.100.7"},
		{[]string{"6.6.6.6, unknown"}, true, "192.0.2.1"},
		{[]string{""}, true, "192.0.2.1"},
	} {
		r := httptest.NewRequest("GET", "/files/", nil)
		r.RemoteAddr = "192.0.2.1:1234"
		for _, value := range c.forwarded {
			r.Header.Add("X-Forwarded-For", value)
		}
		if got := (URLs{TrustForwarded: c.trust}).Client(r); got != c.want {
			t.Errorf("%v, trusted %v: %s, want %s", c.forwarded, c.trust, got, c.want)
		}
	}
}
