package hooks

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"sync"
)

// Amendment is what the app wants to be different in the answer to a request that it
// has agreed to. The zero value is nothing.
type Amendment struct {
	Status int // 200 to 299; others mean the door's own
	Header map[string]string
	Body   string // instead of the door's, "" for that
}

type amenderKey struct{}

// Amend has the answer to the request in whose course something happens be amended, if
// that request sends something and succeeds. What is said later goes before.
func Amend(ctx context.Context, a Amendment) {
	w, ok := ctx.Value(amenderKey{}).(*amender)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.Status >= 200 && a.Status < 300 {
		w.wish.Status = a.Status
	}
	if a.Body != "" {
		w.wish.Body = a.Body
	}
	maps.Copy(w.wish.Header, clean(a.Header))
}

// amender amends an answer when its head is written.
type amender struct {
	http.ResponseWriter
	answered bool
	replaced bool // the body has been sent, the door's is dropped

	mu   sync.Mutex
	wish Amendment
}

// amendable lets the answer to a request be amended.
func amendable(ctx context.Context, w http.ResponseWriter, method string) (context.Context, http.ResponseWriter) {
	switch method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		a := &amender{ResponseWriter: w, wish: Amendment{Header: map[string]string{}}}
		return context.WithValue(ctx, amenderKey{}, a), a
	}
	return ctx, w
}

func (w *amender) WriteHeader(status int) {
	if status < 200 || w.answered {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.answered = true
	if status >= 300 {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.mu.Lock()
	wish := w.wish
	w.mu.Unlock()
	for name, value := range wish.Header {
		w.Header().Set(name, value)
	}
	if wish.Status != 0 {
		status = wish.Status
	}
	if w.replaced = wish.Body != "" && status != http.StatusNoContent; w.replaced {
		w.Header().Set("Content-Length", strconv.Itoa(len(wish.Body)))
	}
	w.ResponseWriter.WriteHeader(status)
	if w.replaced {
		_, _ = w.ResponseWriter.Write([]byte(wish.Body)) // a client that is gone asks again
	}
}

func (w *amender) Write(p []byte) (int, error) {
	if !w.answered {
		w.WriteHeader(http.StatusOK)
	}
	if w.replaced {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *amender) Unwrap() http.ResponseWriter { return w.ResponseWriter }
