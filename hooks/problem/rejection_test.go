package problem

import (
	"maps"
	"testing"
)

func TestARejectionAlwaysHasAnErrorStatus(t *testing.T) {
	for status, want := range map[int]int{0: 400, 99: 400, 200: 400, 302: 400, 399: 400, 400: 400, 418: 418, 599: 599, 600: 400, -1: 400} {
		if got, _, _ := (&Rejection{Status: status}).Response(); got != want {
			t.Errorf("status %d is sent as %d, want %d", status, got, want)
		}
	}
}

func TestARejectionCannotSetReservedOrMalformedHeaders(t *testing.T) {
	r := &Rejection{Status: 403, Header: map[string]string{
		"x-reason": "quota", "Content-Type": "application/json",
		"X-Evil": "a\r\nSet-Cookie: b=c", "X-Feed": "a\nb", "X Y": "c", "X-A:B": "c", "": "c", "X-\r\nB": "c", "X-Nul": "a\x00b",
		"content-length": "5", "Transfer-Encoding": "chunked", "connection": "close", "Upgrade": "h2c", "trailer": "X",
	}, Body: "no"}
	_, got, _ := r.Response()
	if want := map[string]string{"X-Reason": "quota", "Content-Type": "application/json"}; !maps.Equal(got, want) {
		t.Errorf("headers %q, want %q", got, want)
	}
}
