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

	"github.com/holdfast-upload/holdfast/hooks/protocol"
)

const (
	// maxResponse is how much of a response is read, in bytes.
	maxResponse = 64 << 10
	// maxIdleConns is the number of idle connections to the app: enough for all deliveries
	// in flight and the best-effort hooks.
	maxIdleConns = 20
	// maxAttempts is how often a blocking or best-effort hook is sent.
	maxAttempts = 3
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
	header http.Header // in addition to those of every message
	body   []byte
}

// response is the app's response to a message.
type response struct {
	status    int
	header    http.Header
	body      []byte // at most maxResponse bytes
	truncated bool   // the body was longer
}

func newClient(opts Options) (*client, error) {
	c := &client{timeout: opts.Timeout, http: &http.Client{
		Transport: opts.transport,
		// Hooks go to the configured URLs only.
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
			return nil, fmt.Errorf("secret %d of %d is not base64", i+1, len(opts.Secrets)) // without the secret
		}
		c.secrets = append(c.secrets, key)
	}
	return c, nil
}

// post sends m once.
func (c *client) post(ctx context.Context, m message) (response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url, bytes.NewReader(m.body))
	if err != nil {
		return response{}, protocol.WithoutURL(err)
	}
	for name, values := range m.header {
		r.Header[name] = values
	}
	if err := c.sign(r.Header, m); err != nil {
		return response{}, err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return response{}, protocol.WithoutURL(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	if err != nil && resp.StatusCode < 300 {
		return response{}, fmt.Errorf("read the response: %w", protocol.WithoutURL(err))
	}
	return response{resp.StatusCode, resp.Header, body[:min(len(body), maxResponse)], len(body) > maxResponse}, nil
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

// postWithRetry sends m until the app responds with 2xx, at most maxAttempts times. Errors
// other than 408, 425, 429 and 5xx are final. The pause before a retry doubles each time.
func (c *client) postWithRetry(ctx context.Context, m message, pause time.Duration) (response, error) {
	for n := 1; ; n++ {
		resp, err := c.post(ctx, m)
		if err == nil && resp.ok() {
			return resp, nil
		}
		final := err == nil && resp.status < 500 && !resp.temporary()
		if err == nil {
			err = resp.err()
		}
		if n == maxAttempts || final {
			return resp, err
		}
		select {
		case <-ctx.Done():
			return resp, err
		case <-time.After(pause << (n - 1)):
		}
	}
}

// temporary reports whether the status is a 4xx after which the same request may succeed.
func (r response) temporary() bool {
	return r.status == http.StatusRequestTimeout || r.status == http.StatusTooEarly || r.status == http.StatusTooManyRequests
}

// refuses reports whether the status is a final 4xx.
func (r response) refuses() bool { return r.status >= 400 && r.status < 500 && !r.temporary() }

func (r response) ok() bool { return r.status >= 200 && r.status < 300 }

func (r response) err() error {
	return fmt.Errorf("app responded with %s", strings.TrimSpace(fmt.Sprint(r.status, " ", http.StatusText(r.status))))
}

// retryAfter returns the time of the Retry-After header, at most an hour.
func (r response) retryAfter(now time.Time) time.Duration {
	value := r.header.Get("Retry-After")
	wait := time.Duration(0)
	if seconds, err := strconv.Atoi(value); err == nil {
		wait = time.Duration(min(max(seconds, 0), 3600)) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), time.Hour)
}

// decode decodes the JSON of a response to a blocking hook. It requires the Content-Type of
// JSON, so that the page of a proxy does not count as approval.
func (r response) decode(v any) error {
	if typ, _, err := mime.ParseMediaType(r.header.Get("Content-Type")); err != nil || typ != "application/json" {
		return errors.New("response has no Content-Type: application/json")
	}
	if r.truncated {
		return fmt.Errorf("response exceeds %d bytes", maxResponse)
	}
	if err := json.Unmarshal(r.body, v); err != nil {
		return fmt.Errorf("response is not a hook response: %w", err)
	}
	return nil
}
