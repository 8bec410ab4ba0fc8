//go:build servers

package cluster

import (
	"testing"

	"github.com/holdfast-upload/holdfast/test/servers"
)

// The same on servers that are too slow to build or to start for every run; `make servers` runs it.
func TestTwoNodesWorkOnS3ServersThatAreSlowToStart(t *testing.T) {
	redis := servers.Redis(t)
	t.Run("SeaweedFS", func(t *testing.T) { testServer(t, servers.SeaweedFS(t).URL("http"), redis, "") })
	t.Run("LocalStack", func(t *testing.T) { testServer(t, servers.LocalStack(t).URL("http"), redis, "") })
	t.Run("S3Proxy", func(t *testing.T) {
		testServer(t, servers.S3Proxy(t).URL("http"), redis, "conditional put, checksums, conditional completion")
	})
	t.Run("S3Mock", func(t *testing.T) {
		// Whether several of its concurrent writers create one object is a matter of chance.
		testServer(t, servers.S3Mock(t).URL("http"), redis, "(conditional put, )?checksums, conditional completion")
	})
}
