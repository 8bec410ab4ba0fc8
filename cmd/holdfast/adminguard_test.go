package main

import (
	"net/http"
	"strings"
	"testing"
)

// The admin address asks for no credentials: a web page must not reach it through the
// browser of an operator.
func TestTheAdminAddressIsNotForWebPages(t *testing.T) {
	cfg := testConfig(t)
	cfg.AdminListen, cfg.AdminHosts = "127.0.0.1:0", []string{"uploads.example.com"}
	r := start(t, cfg, nil)
	addr := r.adminAddr(t)
	_, port, _ := strings.Cut(addr, ":")
	for name, c := range map[string]struct {
		host   string
		header []string
		want   int
	}{
		"by its address":                {addr, nil, 200},
		"by a name in the same network": {"node:" + port, nil, 200},
		"by a name in Kubernetes":       {"holdfast.prod.svc.cluster.local:" + port, nil, 200},
		"by a name that is set":         {"Uploads.example.com:" + port, nil, 200},
		"by IPv6":                       {"[::1]:" + port, nil, 200},
		"DNS rebinding":                 {"evil.example:" + port, nil, 421},
		"a name that only begins so":    {"uploads.example.com.evil.example", nil, 421},
		"from another page":             {addr, []string{"Origin", "https://evil.example"}, 403},
		"from a page without an origin": {addr, []string{"Origin", "null"}, 403},
		"an image in another page":      {addr, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"from its own page":             {addr, []string{"Origin", "http://" + addr, "Sec-Fetch-Site", "same-origin"}, 200},
		"typed in":                      {addr, []string{"Sec-Fetch-Site", "none"}, 200},
	} {
		for _, path := range []string{"/metrics", "/deliveries", "/debug/pprof/"} {
			req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+addr+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = c.host
			for i := 0; i < len(c.header); i += 2 {
				req.Header.Set(c.header[i], c.header[i+1])
			}
			resp, err := h1(t).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != c.want {
				t.Errorf("%s: %s is %s, want %d", name, path, resp.Status, c.want)
			}
		}
	}
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
