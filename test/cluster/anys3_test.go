package cluster

import (
	"bytes"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/holdfast-upload/holdfast/test"
	"github.com/holdfast-upload/holdfast/test/servers"
)

var anyBuckets atomic.Int32

// onBucket returns the arguments for a new bucket on an S3 server.
func onBucket(endpoint string) []string {
	return []string{"--s3-bucket", fmt.Sprintf("any-%d", anyBuckets.Add(1)), "--s3-endpoint", endpoint, "--s3-path-style", "--s3-create-bucket", "--buffer-memory", "64MiB"}
}

// checkStore runs the command, and returns what it prints and whether it succeeds.
func checkStore(t *testing.T, args ...string) (out string, ok bool) {
	t.Helper()
	var text bytes.Buffer
	cmd := exec.Command(holdfast, append([]string{"check-store"}, args...)...)
	cmd.Stdout, cmd.Stderr = &text, &text
	err := cmd.Run()
	if text.Len() == 0 {
		t.Fatalf("check-store: %v", err)
	}
	return text.String(), err == nil
}

// limits are the checks that check-store prints as limited.
func limits(out string) (names []string) {
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, "limited "); ok {
			name, _, _ := strings.Cut(strings.TrimSpace(rest), "  ")
			names = append(names, name)
		}
	}
	return names
}

// Two nodes do everything on S3 servers that are unlike each other. What a server lacks is
// found out, said, and worked around.
func TestTwoNodesWorkOnAnyS3Server(t *testing.T) {
	redis := servers.Redis(t)
	for _, c := range []struct {
		name  string
		start func(testing.TB) *servers.Server
		want  string // the checks that are limited
	}{
		{"versitygw", servers.S3, ""},
		{"moto", servers.Moto, "checksums"},
		{"gofakes3", servers.GoFakeS3, "checksums, conditional completion, copies"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			testServer(t, c.start(t).URL("http"), redis, c.want)
		})
	}
}

func testServer(t *testing.T, endpoint string, redis *servers.Server, want string) {
	t.Helper()
	args := append(onBucket(endpoint), "--redis", redis.URL("redis")+"/0", "--redis-prefix", fmt.Sprint(anyBuckets.Load(), ":"))
	out, ok := checkStore(t, args...)
	if !ok {
		t.Fatalf("check-store fails:\n%s", out)
	}
	if got := strings.Join(limits(out), ", "); !regexp.MustCompile("^" + want + "$").MatchString(got) {
		t.Errorf("limited: %s; want %s\n%s", got, want, out)
	}
	nodes := pair(t, args...)
	if !strings.Contains(want, "?") {
		wantWarnings(t, nodes.nodes[0], limits(out))
	}
	nodes.run()
}

// wantWarnings demands that the log of a start warns once of each limit.
func wantWarnings(t *testing.T, node *test.Server, limits []string) {
	t.Helper()
	for _, name := range limits {
		if n := strings.Count(node.Log(), fmt.Sprintf(`"check":%q`, name)); n != 1 {
			t.Errorf("the log has %d warnings about %s", n, name)
		}
	}
}
