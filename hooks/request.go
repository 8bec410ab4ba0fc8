package hooks

import (
	"context"
	"net/http"
)

// Request is what may be told of a client's request, after its end as well.
type Request struct {
	Method, URI, RemoteAddr string
	Header                  http.Header // as the client sent it, with Host
}

type requestKey struct{}

// WithRequest returns a context that knows what r was like when it came.
func WithRequest(ctx context.Context, r *http.Request) context.Context {
	h := r.Header.Clone()
	h.Set("Host", r.Host)
	return context.WithValue(ctx, requestKey{}, Request{r.Method, r.RequestURI, r.RemoteAddr, h})
}

// RequestOf is the request in whose course something happens, the zero Request if
// there is none. Its Header is not to be changed.
func RequestOf(ctx context.Context) Request {
	r, _ := ctx.Value(requestKey{}).(Request)
	return r
}
