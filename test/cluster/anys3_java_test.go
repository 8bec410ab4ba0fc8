//go:build servers

package cluster

import (
	"testing"

	"github.com/holdfast-upload/holdfast/test/servers"
)

// The same on servers that are too slow to start for every run; `make servers` runs it.
func TestTwoNodesWorkOnS3ServersInJava(t *testing.T) {
	redis := servers.Redis(t)
	t.Run("S3Proxy", func(t *testing.T) {
		testServer(t, servers.S3Proxy(t).URL("http"), redis, "conditional put, checksums, conditional completion")
	})
	t.Run("S3Mock", func(t *testing.T) {
		// Whether several of its concurrent writers create one object is a matter of chance.
		testServer(t, servers.S3Mock(t).URL("http"), redis, "(conditional put, )?checksums, conditional completion")
	})
}
