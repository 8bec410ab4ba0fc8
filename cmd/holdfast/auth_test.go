package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/config"
	"github.com/holdfast-upload/holdfast/hooks/auth"
)

// Credentials are sent to --auth-hook-url only.
func TestCredentialsAreInNoHook(t *testing.T) {
	who := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"subject":"anna"}`) }))
	t.Cleanup(who.Close)
	b := startBackend(t, respond("{}"))
	cfg := hookedConfig(t, b, "pre-create", "post-finish")
	cfg.AuthHookURL, cfg.AuthHookHeaders = who.URL, []string{"x-api-key"}
	cfg.TicketSecrets = []string{"0123456789abcdef0123456789abcdef"}
	r := startHooked(t, cfg)
	ticket, err := auth.Sign(cfg.TicketSecrets[0], auth.Ticket{Upload: "trip", Create: true, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	proxied := []string{"X-Original-URI", "/files/trip?ticket=" + ticket, "X-Forwarded-Uri", "/files/trip?a=b&ticket=" + ticket, "X-Tenant", "7"}
	do(t, h1(t), "PUT", r.URL()+"photo", strings.NewReader("bytes"), append(proxied, "X-Api-Key", "s3cret")...)
	do(t, h1(t), "PUT", r.URL()+"trip?ticket="+ticket, strings.NewReader("bytes"), proxied...)
	eventually(t, "post-finish of both files", func() bool { return len(b.of("post-finish")) == 2 })
	for _, hook := range append(b.of("pre-create"), b.of("post-finish")...) {
		text, err := json.Marshal(hook)
		if err != nil || strings.Contains(string(text), "s3cret") || strings.Contains(string(text), ticket) {
			t.Errorf("a credential is in it: %s", text)
		}
		if !strings.Contains(string(text), "X-Tenant") {
			t.Errorf("the other headers are not in it: %s", text)
		}
	}
}

func TestSecretFileWithoutASecretIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets")
	for _, text := range []string{"", " \n\n\t", "short\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for name, set := range map[string]func(*config.Config){
			"--auth-jwt-secret-file": func(c *config.Config) { c.AuthJWTSecretFiles = []string{path} },
			"--ticket-secret-file":   func(c *config.Config) { c.TicketSecretFiles = []string{path} },
			"--hook-secret-file":     func(c *config.Config) { c.HookURL, c.HookSecretFile = "http://127.0.0.1:1", path },
		} {
			cfg := testConfig(t)
			set(&cfg)
			s, err := Open(cfg, slog.New(slog.DiscardHandler))
			if err == nil {
				s.Close()
			}
			if err == nil || text != "short\n" && !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "short\n") {
				t.Errorf("%s with %q: %v", name, text, err)
			}
		}
	}
}
