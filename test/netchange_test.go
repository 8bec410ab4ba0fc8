package test

import (
	"sync/atomic"
	"testing"
)

// A tus client whose network changes in the middle of a file sends little twice. Its
// connection is reset, while the server still waits for bytes on its side of it.
func TestF20ANetworkChangeCostsATusClientLittle(t *testing.T) {
	t.Parallel()
	const size, lost, most = 30_000_000, 13_000_000, 34_000_000
	content := NewContent(34, size)
	path := file(t, content)
	for name, deploy := range deployments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, after := deploy(t)
			admin := adminOf(t, before)
			var there atomic.Pointer[Proxy]
			proxy := proxied(t, before, func() Cut {
				if there.Load().Cuts() > 0 {
					return Never
				}
				return Cut{After: lost, Reset: true, OneSide: true, First: func() {
					for bodies := int64(0); bodies < lost-2000 && t.Context().Err() == nil; { // the rest are heads of requests
						bodies = int64(scrape(t, admin).sum("holdfast_received_bytes_total", "tus"))
					}
					there.Load().Target(after.Addr) // where the client comes back
				}}
			})
			there.Store(proxy)
			result := tusJS(t, tusJob{Endpoint: "http://" + proxy.Addr + "/files/", File: path})
			proxy.Close()
			if proxy.Cuts() != 1 || result.Retries == 0 {
				t.Errorf("%d cuts, %d retries: nothing was shown", proxy.Cuts(), result.Retries)
			}
			sent := proxy.Sent()
			t.Logf("%d bytes were sent for a file of %d", sent, size)
			if sent > most {
				t.Errorf("%d bytes were sent for a file of %d, at most %d should be", sent, size, most)
			}
			wantFile(t, after.URL(idOf(result.URL)), content)
		})
	}
}
