package cluster

import (
	"sync"
	"testing"

	"github.com/holdfast-upload/holdfast/test"
)

// A background URLSession sends all chunks at once to a URL that it has chosen, and each
// goes to another node. Per upload that may cost what is asserted here beyond a request
// for each part: for 1 GiB in chunks of 50 MiB, which are 41 parts, that makes 60.
func TestRequestsOfAnUploadOfWhichAllChunksComeAtOnceToThreeNodes(t *testing.T) {
	t.Parallel()
	const chunk, parts, beyondParts = 16 * mib, 21, 60 - 41
	c := start(t, "--sweep-interval", "1h")
	for round := range 2 {
		u := newUpload(c, rangeClient, test.NewContent(uint64(round), (parts-1)*chunk+chunk/2), chunk)
		var sending sync.WaitGroup
		for _, r := range u.content.Chunks(chunk) {
			sending.Go(func() {
				if err := u.put(t.Context(), u.address(), r); err != nil {
					t.Error(err)
				}
			})
		}
		sending.Wait()
		if n := c.faults.requestsOf(u.id()); n > parts+beyondParts {
			t.Errorf("%d requests, want at most %d:\n%s", n, parts+beyondParts, c.faults.history(u.id()))
		} else {
			t.Logf("%d requests for %d parts", n, parts)
		}
		if err := u.verify(); err != nil {
			t.Error(err)
		}
	}
}

// requestsOf is how many requests were made about an upload until it was finished.
func (f *faults) requestsOf(id string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.requests[id]) + 1 // what is needed no more is removed at once, by a request that names no upload
}
