package cluster

import (
	"io"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"testing"

	"github.com/holdfast-upload/holdfast/test"
)

// A background URLSession sends all chunks at once to a URL that it has chosen, and each
// goes to another node. Per upload that may cost what is asserted here beyond a request
// for each part: for 1 GiB in chunks of 50 MiB, which are 41 parts, that makes 60. A node that
// has no time to report to Redis distrusts the cache, and may load the upload once more for
// each call to it.
func TestRequestsOfAnUploadOfWhichAllChunksComeAtOnceToThreeNodes(t *testing.T) {
	t.Parallel()
	const chunk, parts, beyondParts, load = 16 * mib, 21, 60 - 41, 4
	c := start(t, "--sweep-interval", "1h", "--admin-listen", "127.0.0.1:0")
	for round := range 2 {
		distrusted := c.distrusted()
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
		distrusted = c.distrusted() - distrusted
		want := parts + beyondParts + load*distrusted
		if n := c.faults.requestsOf(u.id()); n > want {
			t.Errorf("%d requests, want at most %d:\n%s", n, want, c.faults.history(u.id()))
		} else {
			t.Logf("%d requests for %d parts, the cache was distrusted %d times", n, parts, distrusted)
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

// distrusted is how many calls to the cache have failed on all nodes, which then ask S3.
func (c *cluster) distrusted() (total int) {
	c.t.Helper()
	for _, node := range c.nodes {
		resp, err := http.Get("http://" + node.Admin() + "/metrics")
		if err != nil {
			c.t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			c.t.Fatal(err)
		}
		for _, failed := range regexp.MustCompile(`holdfast_cache_errors_total\{.*\} (\d+)`).FindAllSubmatch(text, -1) {
			n, _ := strconv.Atoi(string(failed[1]))
			total += n
		}
	}
	return total
}
