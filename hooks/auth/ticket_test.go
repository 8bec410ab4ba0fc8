package auth_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/auth"
)

const secret = "a-secret-of-thirty-two-bytes-or-more"

// The app gives a mobile client a URL with which it can upload one video within two days.
func ExampleSign() {
	ticket, err := auth.Sign(secret, auth.Ticket{
		Upload: "anna-holiday", Subject: "anna", Expires: time.Now().Add(48 * time.Hour), MaxSize: 2 << 30, Create: true,
	})
	if err != nil {
		panic(err)
	}
	url := auth.TicketURL("https://up.example.com/files/anna-holiday", ticket)
	fmt.Println(strings.Split(url, "eyJ")[0])
	// Output: https://up.example.com/files/anna-holiday?ticket=
}

func TestAnInvalidTicketIsNotSigned(t *testing.T) {
	later := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		secret string
		ticket auth.Ticket
	}{
		"short secret":  {"short", auth.Ticket{Upload: "a", Expires: later}},
		"no secret":     {"", auth.Ticket{Upload: "a", Expires: later}},
		"no upload":     {secret, auth.Ticket{Expires: later}},
		"a bad id":      {secret, auth.Ticket{Upload: "../a", Expires: later}},
		"no expiry":     {secret, auth.Ticket{Upload: "a"}},
		"negative size": {secret, auth.Ticket{Upload: "a", Expires: later, MaxSize: -1}},
	} {
		if text, err := auth.Sign(c.secret, c.ticket); err == nil || text != "" {
			t.Errorf("%s: signed", name)
		} else if c.secret != "" && strings.Contains(err.Error(), c.secret) {
			t.Errorf("%s: the error contains the secret", name)
		}
	}
}

func TestShortSecretsAndInvalidURLsAreRejected(t *testing.T) {
	for _, opts := range []auth.Options{
		{JWTSecrets: []string{secret, "short"}}, {TicketSecrets: []string{"short"}}, {JWKSURL: ":"}, {HookURL: ":"},
	} {
		if a, err := auth.New(opts); err == nil {
			a.Close()
			t.Errorf("%+v was accepted", opts)
		}
	}
}
