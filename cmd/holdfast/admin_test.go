package main

import (
	"net/http"
	"testing"
)

// Which requests are refused is tested beside the guard, in hooks/admin.
func TestEveryPathOfTheAdminAddressIsGuarded(t *testing.T) {
	cfg := testConfig(t)
	cfg.AdminListen, cfg.AdminHosts = "127.0.0.1:0", []string{"uploads.example.com"}
	url := "http://" + start(t, cfg, nil).adminAddr(t)
	for _, path := range []string{"/metrics", "/deliveries", "/uploads", "/debug/pprof/"} {
		for host, want := range map[string]int{"uploads.example.com": http.StatusOK, "evil.example": http.StatusMisdirectedRequest} {
			if got := askHost(t, url+path, host); got != want {
				t.Errorf("%s at %s is %d, want %d", path, host, got, want)
			}
		}
	}
}

// askHost returns the status of a GET whose Host header is host.
func askHost(t *testing.T, url, host string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := h1(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// Settings on the command line may be secrets.
func TestTheAdminAddressDoesNotShowTheCommandLine(t *testing.T) {
	cfg := testConfig(t)
	cfg.AdminListen = "127.0.0.1:0"
	r := start(t, cfg, nil)
	if a := do(t, h1(t), "GET", "http://"+r.adminAddr(t)+"/debug/pprof/cmdline", nil); a.StatusCode != http.StatusNotFound {
		t.Errorf("%s %q", a.Status, a.body)
	}
	if a := do(t, h1(t), "GET", "http://"+r.adminAddr(t)+"/debug/pprof/goroutine?debug=1", nil); a.StatusCode != http.StatusOK {
		t.Errorf("profiles: %s", a.Status)
	}
}
