package api

import (
	"io"
	"net/http"
)

// plainBody is a RoundTripper that hides all methods of a request's body but Read and Close.
//
// The SDK closes the body as soon as the header of the response is there. If net/http sends
// the body by its WriteTo, it may then ask it once more for its end, and break the
// connection on the error: on Ceph RGW, which responds to DeleteObjects that early, one
// request in ten fails with "use of closed network connection".
type plainBody struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (p plainBody) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return p.RoundTripper.RoundTrip(r)
	}
	r = r.WithContext(r.Context()) // a RoundTripper must not change the caller's
	r.Body = struct{ io.ReadCloser }{r.Body}
	return p.RoundTripper.RoundTrip(r)
}
