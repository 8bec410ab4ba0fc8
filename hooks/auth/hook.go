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

	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/storage"
)

const (
	maxAnswer   = 64 << 10 // bytes of the app's answer
	maxAnswers  = 10_000   // that are remembered
	maxRemember = time.Hour
)

// hook lets the app say who makes a request. What it says is remembered for as long as
// it allows, for requests with the same credentials that do the same to the same upload.
type hook struct {
	opts     Options
	headers  []string
	client   *http.Client
	cache    *lru.Cache[[sha256.Size]byte, answer]
	inFlight singleflight.Group
}

// question is what the app is asked.
type hookRequest struct {
	Method     string            `json:"method"`
	Path       string            `json:"path"`
	UploadID   string            `json:"uploadId"` // "" for the collection
	Header     map[string]string `json:"header"`
	RemoteAddr string            `json:"remoteAddr"`
}

// verdict is what the app answers with status 200.
type hookResponse struct {
	Subject string `json:"subject"`
	rules
	CacheFor int64 `json:"cacheFor"` // seconds
}

// answer is what came of asking the app.
type answer struct {
	principal hooks.Principal
	err       error
	until     time.Time // when it is to be asked again
}

func newHook(opts Options) (*hook, error) {
	if _, err := http.NewRequest(http.MethodPost, opts.HookURL, nil); err != nil {
		return nil, errors.New("the URL to ask the app at cannot be used")
	}
	answers, err := lru.New[[sha256.Size]byte, answer](maxAnswers)
	if err != nil {
		return nil, err
	}
	h := &hook{opts: opts, cache: answers, headers: []string{"Authorization", "Cookie"}}
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

// verify implements verifier. A request without any credentials is refused, and the
// app not bothered.
func (h *hook) verify(ctx context.Context, r *http.Request) (hooks.Principal, error) {
	q := hookRequest{Method: r.Method, Path: r.URL.Path, UploadID: h.opts.URLs.ID(r), Header: map[string]string{}, RemoteAddr: h.opts.URLs.Client(r)}
	for _, name := range h.headers {
		switch values := r.Header.Values(name); {
		case len(values) > 1:
			return hooks.Principal{}, errInvalid
		case len(values) == 1:
			q.Header[name] = values[0]
		}
	}
	if len(q.Header) == 0 {
		return hooks.Principal{}, errNone
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
	a := found.(answer)
	return a.principal, a.err
}

// key is a hash of all that the app may go by, but for the address, and with one name
// for all methods that do the same, which no method can have (RFC 9110, section 5.6.2).
// Credentials are not kept.
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

// ask asks the app. Whatever is no clear answer lets nobody in.
func (h *hook) call(ctx context.Context, q hookRequest) answer {
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
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return h.unavailable(ctx, err)
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return answer{err: errInvalid}
	case http.StatusForbidden:
		return answer{err: fmt.Errorf("%w: so the app says", storage.ErrForbidden)}
	case http.StatusOK:
		return h.read(ctx, text)
	}
	return h.unavailable(ctx, fmt.Errorf("status %d", resp.StatusCode))
}

func (h *hook) read(ctx context.Context, text []byte) answer {
	var v hookResponse
	if len(text) > maxAnswer {
		return h.unavailable(ctx, errors.New("its answer is too long"))
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return h.unavailable(ctx, errors.New("its answer is not the JSON that it should be"))
	}
	limits, err := v.limits()
	if err != nil || v.Subject == "" || v.CacheFor < 0 {
		return h.unavailable(ctx, errors.New("its answer has no subject, or a limit that is none"))
	}
	remember := time.Duration(min(v.CacheFor, int64(maxRemember/time.Second))) * time.Second
	return answer{principal: hooks.Principal{Subject: v.Subject, Limits: limits}, until: time.Now().Add(remember)}
}

func (h *hook) unavailable(ctx context.Context, err error) answer {
	h.opts.Log.WarnContext(ctx, "the app did not say who makes a request", "error", hooks.WithoutURL(err))
	return answer{err: errAuthUnavailable}
}
