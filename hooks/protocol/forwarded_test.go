package protocol

import (
	"net/http/httptest"
	"testing"
)

func TestThePublicURLIsBelievedMoreThanHeaders(t *testing.T) {
	urls := URLs{BasePath: "/files/", TrustForwarded: true, PublicURL: "https://up.example.com/u/"}
	r := httptest.NewRequest("POST", "http://127.0.0.1:8080/files/", nil)
	r.Header.Set("X-Forwarded-Host", "evil.example")
	r.Header.Set("X-Forwarded-Prefix", "/api")
	if got := urls.Upload(r, "abc"); got != "https://up.example.com/u/abc" {
		t.Error(got)
	}
	for url, want := range map[string]string{
		"https://up.example.com/u/abc?ticket=x": "/files/abc?ticket=x", "/u/abc": "/files/abc",
		"/files/abc": "/files/abc", "https://other.example/u/abc": "https://other.example/u/abc",
	} {
		if got := urls.Relative(url); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

func TestAURLThatClientsCannotReachIsNoticed(t *testing.T) {
	for _, c := range []struct {
		host, via string
		public    string
		want      bool
	}{
		{"localhost:8080", "X-Forwarded-For", "", true},
		{"127.0.0.1:8080", "Forwarded", "", true},
		{"[::1]:8080", "Via", "", true},
		{"localhost:8080", "", "", false},
		{"up.example.com", "X-Forwarded-For", "", false},
		{"10.0.0.7:8080", "X-Forwarded-For", "", false},
		{"localhost:8080", "X-Forwarded-For", "https://up.example.com/files/", false},
	} {
		r := httptest.NewRequest("POST", "http://"+c.host+"/files/", nil)
		if c.via != "" {
			r.Header.Set(c.via, "192.0.2.1")
		}
		urls := URLs{BasePath: "/files/", TrustForwarded: true, PublicURL: c.public}
		if got := urls.LooksUnreachable(r); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
