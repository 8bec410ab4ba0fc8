package protocol

import (
	"context"
	"net/http"
)

// Request describes a client's request. It stays valid after the request has ended.
type Request struct {
	Method, URI, RemoteAddr string
	Header                  http.Header // as the client sent it, with Host
}

type requestKey struct{}

// WithRequest returns a context that carries a copy of r as it was received.
func WithRequest(ctx context.Context, r *http.Request) context.Context {
	h := r.Header.Clone()
	h.Set("Host", r.Host)
	return context.WithValue(ctx, requestKey{}, Request{r.Method, r.RequestURI, r.RemoteAddr, h})
}

// RequestOf returns the request that ctx belongs to, the zero Request if there is none.
// Its Header must not be changed.
func RequestOf(ctx context.Context) Request {
	r, _ := ctx.Value(requestKey{}).(Request)
	return r
}
