package cluster

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-upload/holdfast/test"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// bucket is the one that the nodes share.
const bucket = "uploads"

// quiet swallows what proxies log of the connections that tests break.
var quiet = log.New(io.Discard, "", 0)

// cluster is three nodes with all that they need.
type cluster struct {
	t        *testing.T
	s3       *servers.Server
	faults   *faults
	redis    *servers.Server
	toRedis  *redis.Client // nil until needed
	nodes    []*test.Server
	balancer *balancer
}

// start runs three nodes until the test ends, with further arguments of serve. A
// node that panics meanwhile fails the test.
func start(t *testing.T, args ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, s3: servers.S3(t), redis: servers.Redis(t)}
	c.faults = newFaults(t, c.s3.Addr)
	dir := t.TempDir()
	args = append([]string{
		"--s3-bucket", bucket, "--s3-endpoint", c.faults.URL, "--s3-path-style", "--s3-create-bucket",
		"--redis", c.redis.URL("redis") + "/0", "--buffer-memory", "64MiB",
	}, args...)
	addrs := make([]string, 3)
	var starting sync.WaitGroup
	for n := range addrs {
		node := &test.Server{Bin: holdfast, Data: filepath.Join(dir, "unused"), Args: args}
		c.nodes = append(c.nodes, node)
		starting.Go(func() {
			if err := node.Start(); err != nil {
				t.Error(err)
			}
			addrs[n] = node.Addr
		})
	}
	starting.Wait()
	t.Cleanup(c.end)
	if t.Failed() {
		t.FailNow()
	}
	c.balancer = newBalancer(t, addrs...)
	return c
}

func (c *cluster) end() {
	for n, node := range c.nodes {
		if node.Addr == "" {
			continue // it has not started
		}
		node.Kill()
		if crash := node.Crash(); crash != "" {
			c.t.Errorf("node %d crashed:\n%s", n, crash)
		}
		if c.t.Failed() {
			c.t.Logf("node %d, the troubles in its log:\n%s", n, troubles(node.Log(), 6000))
		}
	}
}

// troubles are the last lines of a log that are not of a request.
func troubles(log string, most int) string {
	var found bytes.Buffer
	for line := range strings.Lines(log) {
		if !strings.Contains(line, `"level":"INFO"`) {
			found.WriteString(line)
		}
	}
	text := found.String()
	return text[max(0, len(text)-most):]
}

// signal sends node n a signal.
func (c *cluster) signal(n int, sig syscall.Signal) {
	process, err := os.FindProcess(c.nodes[n].Pid())
	if err == nil {
		err = servers.Signal(process, sig)
	}
	if err != nil {
		c.t.Errorf("signal node %d: %v", n, err)
	}
}

// killAndRestart ends node n as a crash does, and starts it again.
func (c *cluster) killAndRestart(n int, pause time.Duration) {
	c.nodes[n].Kill()
	time.Sleep(pause)
	c.restart(n)
}

func (c *cluster) restart(n int) {
	if err := c.nodes[n].Start(); err != nil {
		c.t.Errorf("start node %d: %v", n, err)
	}
}

// deliveredWithin is how long a test waits until the app is notified of an upload whose node
// was killed when it had finished it: a sweep looks at it again after some 30 s, and a loaded
// machine takes longer.
const deliveredWithin = 2 * time.Minute

// wantDelivered demands that the finish of each upload was delivered.
func (c *cluster) wantDelivered(uploads ...*upload) {
	c.t.Helper()
	var missing []string
	for deadline := time.Now().Add(deliveredWithin); ; time.Sleep(100 * time.Millisecond) {
		delivered := c.delivered()
		missing = missing[:0]
		for _, u := range uploads {
			if !delivered[u.id()+".finished"] {
				missing = append(missing, u.id())
			}
		}
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("the finish of these was not delivered: %v", missing)
		}
	}
}

// delivered returns the ids of all events that any node has delivered.
func (c *cluster) delivered() map[string]bool {
	ids := map[string]bool{}
	for _, node := range c.nodes {
		for line := range strings.Lines(node.Log()) {
			var entry struct{ Event string }
			if strings.Contains(line, `"event"`) && json.Unmarshal([]byte(line), &entry) == nil {
				ids[entry.Event] = true
			}
		}
	}
	return ids
}

// do makes a request that must be answered.
func do(t *testing.T, req *http.Request) test.Answer {
	t.Helper()
	answer, err := test.Do(http.DefaultClient, req)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func mustRequest(t *testing.T, method, url string, body io.Reader, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}
