package config

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// minSecret is the minimum length of a secret in bytes (RFC 7518, section 3.2).
const minSecret = 32

func (c *Config) validateAuth(reject func(flag string, err error)) {
	reject("auth-jwt-secret", checkSecrets(c.AuthJWTSecrets))
	reject("ticket-secret", checkSecrets(c.TicketSecrets))
	if c.AuthJWKSURL != "" {
		reject("auth-jwks-url", checkURL(c.AuthJWKSURL, "http", "https"))
	}
	if c.AuthHookURL != "" {
		reject("auth-hook-url", checkURL(c.AuthHookURL, "http", "https"))
	}
	for _, header := range c.AuthHookHeaders {
		reject("auth-hook-header", checkHookHeader(header))
	}
	if shared := len(c.AuthJWTSecrets)+len(c.AuthJWTSecretFiles) > 0; shared && (c.AuthJWKSURL != "" || c.AuthHookURL != "") {
		reject("auth-jwt-secret", errors.New("cannot be combined with --auth-jwks-url or --auth-hook-url"))
	}
	if c.AuthJWKSURL != "" && c.AuthHookURL != "" {
		reject("auth-hook-url", errors.New("cannot be combined with --auth-jwks-url"))
	}
	reject("auth-hook-timeout", checkDuration(c.AuthHookTimeout, 1))
	reject("ticket-ttl", checkDuration(c.TicketTTL, 0))
	if c.CORSCredentials && (len(c.CORSOrigins) == 0 || slices.Contains(c.CORSOrigins, "*")) {
		reject("cors-credentials", errors.New("needs --cors-origin with named origins: with * every web page could act as its visitors"))
	}
	reject("limit-uploads-per-minute", checkCount(c.LimitUploadsPerMinute))
	reject("limit-incomplete-uploads", checkCount(c.LimitIncompleteUploads))
}

func checkCount(n int) error {
	if n < 0 {
		return fmt.Errorf("%d is negative: 0 or more is allowed", n)
	}
	return nil
}

// checkSecrets checks the length of secrets. Its error does not contain the secret.
func checkSecrets(secrets []string) error {
	for _, secret := range secrets {
		if len(secret) < minSecret {
			return fmt.Errorf("has a secret of %d bytes: %d or more are needed, and a comma separates two", len(secret), minSecret)
		}
	}
	return nil
}

func checkHookHeader(name string) error {
	switch http.CanonicalHeaderKey(name) {
	case "Upload-Ticket", "Referer":
		return fmt.Errorf("%s must not be sent to the app: it may hold a ticket", name)
	}
	return checkHeader(name)
}

func checkHeader(name string) error {
	if name == "" || strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("%q is not the name of a header", name)
	}
	return nil
}

// Ticket holds the settings of the command ticket create.
type Ticket struct {
	Upload   string        `name:"upload" required:"" placeholder:"ID" help:"Id of the upload."`
	Expires  time.Duration `name:"expires" required:"" placeholder:"TIME" help:"Lifetime of the ticket."`
	Subject  string        `name:"subject" placeholder:"TEXT" help:"Owner of the upload. Without it, the ticket is valid for any owner."`
	MaxSize  Size          `name:"max-size" default:"0" placeholder:"SIZE" help:"Largest size of an upload that is created with it. 0 adds no limit."`
	Create   bool          `name:"create" help:"Allow the creation of the upload."`
	Download bool          `name:"download" help:"Allow the download of the finished file."`
	URL      string        `name:"url" placeholder:"BASE" help:"Print the URL of the upload below this one, with the ticket in it, instead of the ticket alone: https://up.example.com/files/."`

	Secrets     []string `name:"ticket-secret" placeholder:"SECRET" help:"The server's --ticket-secret. The first one signs."`
	SecretFiles []string `name:"ticket-secret-file" placeholder:"FILE" help:"File of secrets, one in a line."`
}

func (t *Ticket) validate(name func(flag string) string) error {
	var wrong []error
	reject := func(flag string, err error) {
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", name(flag), err))
		}
	}
	reject("expires", checkDuration(t.Expires, 1))
	reject("ticket-secret", checkSecrets(t.Secrets))
	if len(t.Secrets)+len(t.SecretFiles) == 0 {
		reject("ticket-secret", errors.New("is missing: it signs the ticket"))
	}
	if t.URL != "" {
		reject("url", checkURL(t.URL, "http", "https"))
	}
	return errors.Join(wrong...)
}
