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

func newRequest(r *http.Request) Request {
	h := r.Header.Clone()
	h.Set("Host", r.Host)
	return Request{r.Method, r.RequestURI, r.RemoteAddr, h}
}

// RequestOf returns the request that ctx belongs to, the zero Request if there is none.
// Its Header must not be changed.
func RequestOf(ctx context.Context) Request { return ExchangeOf(ctx).snapshot }

// WithRequest returns a context that belongs to a copy of r, without a Router.
func WithRequest(ctx context.Context, r *http.Request) context.Context {
	return with(ctx, &Exchange{snapshot: newRequest(r), principal: ExchangeOf(ctx).principal})
}
