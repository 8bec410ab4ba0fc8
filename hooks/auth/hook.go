package auth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
)

const (
	maxResponse = 64 << 10 // bytes of the app's response
	maxCached   = 10_000   // results
	maxCacheFor = time.Hour
)

// hook lets the app authenticate requests. Its results are cached for as long as the app
// allows, by credentials, upload, and whether the request reads or writes.
type hook struct {
	opts     Options
	headers  []string
	client   *http.Client
	cache    *lru.Cache[[sha256.Size]byte, result]
	inFlight singleflight.Group
}

// hookRequest is the body of a request to the app.
type hookRequest struct {
	Method     string            `json:"method"`
	Path       string            `json:"path"`
	UploadID   string            `json:"uploadId"` // "" for the collection
	Header     map[string]string `json:"header"`
	RemoteAddr string            `json:"remoteAddr"`
}

// hookResponse is the body of a response of the app with status 200.
type hookResponse struct {
	Subject string `json:"subject"`
	rules
	CacheFor int64 `json:"cacheFor"` // seconds
}

// result is the outcome of asking the app.
type result struct {
	principal protocol.Principal
	err       error
	until     time.Time // when it expires from the cache
}

func newHook(opts Options) (*hook, error) {
	if _, err := http.NewRequest(http.MethodPost, opts.HookURL, nil); err != nil {
		return nil, errors.New("invalid URL of the auth hook")
	}
	cache, err := lru.New[[sha256.Size]byte, result](maxCached)
	if err != nil {
		return nil, err
	}
	h := &hook{opts: opts, cache: cache, headers: []string{"Authorization", "Cookie"}}
	for _, name := range opts.HookHeaders {
		if name = textproto.CanonicalMIMEHeaderKey(name); name != TicketHeader {
			h.headers = append(h.headers, name)
		}
	}
	h.client = &http.Client{
		Timeout:       opts.HookTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return h, nil
}

// verify implements verifier. It rejects requests without credentials without asking the
// app.
func (h *hook) verify(ctx context.Context, r *http.Request) (protocol.Principal, error) {
	q := hookRequest{Method: r.Method, Path: r.URL.Path, UploadID: h.opts.URLs.ID(r), Header: map[string]string{}, RemoteAddr: h.opts.URLs.Client(r)}
	for _, name := range h.headers {
		switch values := r.Header.Values(name); {
		case len(values) > 1:
			return protocol.Principal{}, errInvalid
		case len(values) == 1:
			q.Header[name] = values[0]
		}
	}
	if len(q.Header) == 0 {
		return protocol.Principal{}, errNone
	}
	key := q.key()
	if a, ok := h.cache.Get(key); ok && time.Now().Before(a.until) {
		return a.principal, a.err
	}
	found, _, _ := h.inFlight.Do(string(key[:]), func() (any, error) {
		a := h.call(context.WithoutCancel(ctx), q)
		if time.Now().Before(a.until) {
			h.cache.Add(key, a)
		}
		return a, nil
	})
	a := found.(result)
	return a.principal, a.err
}

// key returns the cache key: a hash of the request without the remote address, with one
// placeholder each for reading and writing methods, which cannot be a method name (RFC
// 9110, section 5.6.2). As a hash, it does not reveal credentials.
func (q hookRequest) key() [sha256.Size]byte {
	switch q.Method {
	case http.MethodHead, http.MethodGet:
		q.Method = "(read)"
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		q.Method = "(write)"
	}
	q.RemoteAddr = ""
	text, _ := json.Marshal(q) // strings never fail
	return sha256.Sum256(text)
}

// call asks the app. Without a valid response the request is rejected.
func (h *hook) call(ctx context.Context, q hookRequest) result {
	body, _ := json.Marshal(q) // strings never fail
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.opts.HookURL, bytes.NewReader(body))
	if err != nil {
		return h.unavailable(ctx, err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := h.client.Do(r)
	if err != nil {
		return h.unavailable(ctx, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	if err != nil {
		return h.unavailable(ctx, err)
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return result{err: errInvalid}
	case http.StatusForbidden:
		return result{err: fmt.Errorf("%w: rejected by the app", storage.ErrForbidden)}
	case http.StatusOK:
		return h.read(ctx, text)
	}
	return h.unavailable(ctx, fmt.Errorf("status %d", resp.StatusCode))
}

func (h *hook) read(ctx context.Context, text []byte) result {
	var v hookResponse
	if len(text) > maxResponse {
		return h.unavailable(ctx, errors.New("the response is too long"))
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return h.unavailable(ctx, errors.New("the response is not valid JSON"))
	}
	limits, err := v.limits()
	if err != nil || v.Subject == "" || v.CacheFor < 0 {
		return h.unavailable(ctx, errors.New("the response has no subject, or an invalid limit"))
	}
	ttl := time.Duration(min(v.CacheFor, int64(maxCacheFor/time.Second))) * time.Second
	return result{principal: protocol.Principal{Subject: v.Subject, Limits: limits}, until: time.Now().Add(ttl)}
}

func (h *hook) unavailable(ctx context.Context, err error) result {
	h.opts.Log.WarnContext(ctx, "auth hook failed", "error", protocol.WithoutURL(err))
	return result{err: problem.ErrAuthUnavailable}
}
