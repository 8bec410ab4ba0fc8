package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/config"
)

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
