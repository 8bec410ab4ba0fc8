package config_test

import (
	"strings"
	"testing"
	"time"
)

func TestAccessThatCannotBeIsRefused(t *testing.T) {
	for _, c := range []struct{ args, flag string }{
		{"--auth-jwt-secret=short", "--auth-jwt-secret"},
		{"--auth-jwt-secret=" + aSecret + ",short", "--auth-jwt-secret"},
		{"--ticket-secret=short", "--ticket-secret"},
		{"--auth-jwt-secret=" + aSecret + " --auth-jwks-url=https://a.example", "--auth-jwt-secret"},
		{"--auth-jwt-secret-file=f --auth-hook-url=https://a.example", "--auth-jwt-secret"},
		{"--auth-hook-url=https://a.example --auth-jwks-url=https://a.example", "--auth-hook-url"},
		{"--auth-hook-url=ftp://a.example", "--auth-hook-url"},
		{"--auth-jwks-url=nowhere", "--auth-jwks-url"},
		{"--auth-hook-header=upload-ticket", "--auth-hook-header"},
		{"--auth-hook-header=a:b", "--auth-hook-header"},
		{"--auth-hook-timeout=0s", "--auth-hook-timeout"},
		{"--ticket-ttl=1h", "--ticket-ttl"},
		{"--ticket-ttl=-1h --ticket-secret=" + aSecret, "--ticket-ttl"},
		{"--cors-credentials", "--cors-credentials"},
		{"--cors-credentials --cors-origin=https://a.example,*", "--cors-credentials"},
		{"--cors-credentials --cors-origin=", "--cors-credentials"},
		{"--limit-incomplete-uploads=-1", "--limit-incomplete-uploads"},
		{"--limit-uploads-per-minute=-1", "--limit-uploads-per-minute"},
		{"ticket create --upload=a --expires=0s --ticket-secret=" + aSecret, "--expires"},
		{"ticket create --upload=a --expires=1h", "--ticket-secret"},
		{"ticket create --upload=a --expires=1h --ticket-secret=short", "--ticket-secret"},
		{"ticket create --upload=a --expires=1h --url=a --ticket-secret=" + aSecret, "--url"},
	} {
		_, err := new(testEnv).parse(strings.Fields(c.args)...)
		if err == nil || !strings.HasPrefix(err.Error(), c.flag+":") {
			t.Errorf("%s: %v", c.args, err)
		}
		if err != nil && (strings.Contains(err.Error(), aSecret) || strings.Contains(err.Error(), "short ")) {
			t.Errorf("a secret is in the message: %v", err)
		}
	}
}

func TestTicketIsACommand(t *testing.T) {
	w := &testEnv{env: map[string]string{"HOLDFAST_TICKET_SECRET": aSecret}}
	got, err := w.parse("ticket", "create", "--upload", "it", "--expires", "48h", "--subject", "anna", "--max-size", "2GiB", "--create")
	if err != nil {
		t.Fatal(err)
	}
	if k := got.Ticket; got.Name != "ticket create" || k.Upload != "it" || k.Expires != 48*time.Hour || k.Subject != "anna" ||
		k.MaxSize != 2<<30 || !k.Create || k.Download || len(k.Secrets) != 1 {
		t.Errorf("%+v", got)
	}
}
