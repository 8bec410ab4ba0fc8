package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/holdfast-upload/holdfast/hooks"
)

const (
	// maxAnswer is how much of an answer is read, in bytes.
	maxAnswer = 64 << 10
	// maxIdleConns is how many connections to the app are kept: for all deliveries in
	// flight and the best-effort hooks.
	maxIdleConns = 20
	// tries is how often the app is asked something, or told what it need not hear.
	tries = 3
)

// client sends signed requests to the app.
type client struct {
	http    *http.Client
	secrets []*standardwebhooks.Webhook
	timeout time.Duration
}

// message is a request to the app.
type message struct {
	id     string // the webhook-id
	url    string
	header http.Header // beside those of every message
	body   []byte
}

// answer is what the app said.
type answer struct {
	status int
	header http.Header
	body   []byte
	cut    bool // there is more than maxAnswer bytes of it
}

func newClient(opts Options) (*client, error) {
	c := &client{timeout: opts.Timeout, http: &http.Client{
		Transport: opts.transport,
		// The app is where the settings say, and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if c.http.Transport == nil {
		c.http.Transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: opts.Timeout, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:     opts.TLS,
			TLSHandshakeTimeout: opts.Timeout,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: maxIdleConns,
			IdleConnTimeout:     time.Minute,
		}
	}
	for i, secret := range opts.Secrets {
		key, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return nil, fmt.Errorf("secret %d of %d is not base64", i+1, len(opts.Secrets)) // it is not repeated
		}
		c.secrets = append(c.secrets, key)
	}
	return c, nil
}

// post sends m once.
func (c *client) post(ctx context.Context, m message) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url, bytes.NewReader(m.body))
	if err != nil {
		return answer{}, hooks.WithoutURL(err)
	}
	for name, values := range m.header {
		r.Header[name] = values
	}
	if err := c.sign(r.Header, m); err != nil {
		return answer{}, err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return answer{}, hooks.WithoutURL(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil && resp.StatusCode < 300 {
		return answer{}, fmt.Errorf("read the answer: %w", hooks.WithoutURL(err))
	}
	return answer{resp.StatusCode, resp.Header, body[:min(len(body), maxAnswer)], len(body) > maxAnswer}, nil
}

// sign adds the headers of Standard Webhooks, with a signature by each secret.
func (c *client) sign(h http.Header, m message) error {
	now := time.Now()
	var signatures []string
	for _, secret := range c.secrets {
		s, err := secret.Sign(m.id, now, m.body)
		if err != nil {
			return fmt.Errorf("sign: %w", err)
		}
		signatures = append(signatures, s)
	}
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "holdfast")
	h.Set(standardwebhooks.HeaderWebhookID, m.id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	h.Del(standardwebhooks.HeaderWebhookSignature)
	if len(signatures) > 0 {
		h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	}
	return nil
}

// insist sends m until the app answers with 2xx, a few times at most. What it refuses
// for good is not sent again.
func (c *client) postWithRetry(ctx context.Context, m message, pause time.Duration) (answer, error) {
	for n := 1; ; n++ {
		a, err := c.post(ctx, m)
		if err == nil && a.ok() {
			return a, nil
		}
		final := err == nil && a.status < 500 && a.status != http.StatusTooManyRequests && a.status != http.StatusRequestTimeout
		if err == nil {
			err = a.err()
		}
		if n == tries || final {
			return a, err
		}
		select {
		case <-ctx.Done():
			return a, err
		case <-time.After(pause << (n - 1)):
		}
	}
}

func (a answer) ok() bool { return a.status >= 200 && a.status < 300 }

func (a answer) err() error {
	return fmt.Errorf("it answers %s", strings.TrimSpace(fmt.Sprint(a.status, " ", http.StatusText(a.status))))
}

// retryAfter is how long the app asks to be left in peace: at most an hour.
func (a answer) retryAfter(now time.Time) time.Duration {
	value := a.header.Get("Retry-After")
	wait := time.Duration(0)
	if seconds, err := strconv.Atoi(value); err == nil {
		wait = time.Duration(min(max(seconds, 0), 3600)) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), time.Hour)
}

// decode reads an answer that has to mean something: JSON, and said to be so, lest
// the page of some proxy count as consent.
func (a answer) decode(v any) error {
	if typ, _, err := mime.ParseMediaType(a.header.Get("Content-Type")); err != nil || typ != "application/json" {
		return errors.New("its answer has no Content-Type: application/json")
	}
	if a.cut {
		return fmt.Errorf("its answer has more than %d bytes", maxAnswer)
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		return fmt.Errorf("its answer is not that of a hook: %w", err)
	}
	return nil
}
