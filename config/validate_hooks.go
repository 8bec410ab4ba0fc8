package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// hookEvents are the names of all hooks.
var hookEvents = []string{"pre-create", "post-create", "post-receive", "pre-finish", "post-finish", "post-terminate"}

func (c *Config) validateHooks(reject func(flag string, err error)) {
	if c.HookURL != "" {
		reject("hook-url", checkURL(c.HookURL, "http", "https"))
	}
	for _, event := range slices.Sorted(maps.Keys(c.HookURLOverride)) {
		reject("hook-url-override", c.checkURLOverride(event))
	}
	for _, event := range c.HookEvents {
		reject("hook-events", c.checkEvent(event))
	}
	for _, secret := range c.HookSecrets {
		reject("hook-secret", CheckSecret(secret))
	}
	for _, name := range c.HookForwardHeader {
		reject("hook-forward-header", checkHeaderName(name))
	}
	reject("hook-timeout", checkDuration(c.HookTimeout, 1))
	reject("hook-retry-initial", checkDuration(c.HookRetryInitial, 1))
	reject("hook-progress-interval", checkDuration(c.HookProgressInterval, 0))
	if c.HookRetryMaxAge < c.HookRetryInitial {
		reject("hook-retry-max-age", fmt.Errorf("%s is less than --hook-retry-initial, %s", c.HookRetryMaxAge, c.HookRetryInitial))
	}
	switch {
	case c.HookClientCert == "" && c.HookClientKey != "":
		reject("hook-client-cert", errors.New("is missing, while --hook-client-key is set"))
	case c.HookClientCert != "" && c.HookClientKey == "":
		reject("hook-client-key", errors.New("is missing, while --hook-client-cert is set"))
	}
}

func (c *Config) checkURLOverride(event string) error {
	if !slices.Contains(c.HookEvents, event) {
		return fmt.Errorf("%q is not in --hook-events, so nothing would be sent", event)
	}
	if err := checkURL(c.HookURLOverride[event], "http", "https"); err != nil {
		return fmt.Errorf("the URL of %s %w", event, err)
	}
	return nil
}

func (c *Config) checkEvent(event string) error {
	if err := checkOneOf(event, hookEvents...); err != nil {
		return err
	}
	if c.Hooks() && c.HookURL == "" && c.HookURLOverride[event] == "" {
		return fmt.Errorf("%s has no URL: set --hook-url, or one in --hook-url-override", event)
	}
	return nil
}

// CheckSecret returns an error unless secret is a valid secret of Standard Webhooks. The
// error does not contain the secret.
func CheckSecret(secret string) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) < 24 || len(key) > 64 {
		return errors.New("a secret is not whsec_ with 24 to 64 bytes in base64: echo whsec_$(head -c 32 /dev/urandom | base64) makes one")
	}
	return nil
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

func checkHeaderName(name string) error {
	if !headerName.MatchString(name) {
		return fmt.Errorf("%q is not the name of a header", name)
	}
	return nil
}
