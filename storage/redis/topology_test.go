package redis

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-upload/holdfast/test/ports"
)

func TestLockerAndCacheWorkOnACluster(t *testing.T) {
	t.Parallel()
	url := cluster(t, 3)
	n := newNodes(t, 2, Options{URL: url, LockTTL: rarePolls})
	ids := []string{"", "}", "{}", "*"}
	for i := range 15 { // spread over the servers
		ids = append(ids, fmt.Sprint("upload ", i))
	}
	for _, id := range ids {
		within(t, beforeFirstPoll, "a handover", func() { handover(t, n[0], n[1], id) })
		if err := n[0].cache.Invalidate(t.Context(), id); err != nil {
			t.Errorf("invalidate %q: %v", id, err)
		}
	}
	t.Run("cache", func(t *testing.T) { cacheSuite(t, url) })
	for _, n := range n {
		n.log.want(t, 0, 0)
		if _, ok := n.client.(*redis.ClusterClient); !ok {
			t.Errorf("the client is a %T", n.client)
		}
	}
}

func TestLockerAndCacheWorkWithSentinel(t *testing.T) {
	t.Parallel()
	master := freePort(t)
	server(t, master)
	sentinel := freePort(t)
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	if err := os.WriteFile(conf, []byte("sentinel monitor main 127.0.0.1 "+master+" 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server(t, sentinel, conf, "--sentinel")
	url := "redis://127.0.0.1:" + sentinel + "?master_name=main"
	n := newNode(t, Options{URL: url})
	if err := n.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	unlock, _ := n.lock(t, "it")
	unlock()
	cacheSuite(t, url)
	n.log.want(t, 0, 0)
}

func TestConnectRejectsInvalidURLs(t *testing.T) {
	for _, url := range []string{"", "localhost:6379", "http://localhost", "redis://localhost?no_such_option=1", "redis://h?addr=h:1&x=1", "redis://h?master_name=m&x=1", ":"} {
		if _, err := Connect(Options{URL: url}); err == nil {
			t.Errorf("%q: no error", url)
		}
	}
	if _, err := Connect(Options{URL: "redis://localhost", Prefix: "a{b}"}); err == nil {
		t.Error("a prefix with braces: no error")
	}
}

// cluster starts n servers, each with its share of the hash slots.
func cluster(t *testing.T, n int) (url string) {
	var clients []*redis.Client
	var ports []string
	for i := range n {
		port, bus := freePort(t), freePort(t)
		server(t, port, "--cluster-enabled", "yes", "--cluster-port", bus)
		c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port})
		t.Cleanup(func() { _ = c.Close() })
		clients, ports = append(clients, c), append(ports, port)
		must(t, c.ClusterAddSlotsRange(t.Context(), i*16384/n, (i+1)*16384/n-1).Err())
		must(t, clients[0].Do(t.Context(), "CLUSTER", "MEET", "127.0.0.1", port, bus).Err())
	}
	eventually(t, 30*time.Second, "the cluster is formed", func() bool {
		for _, c := range clients {
			info := c.ClusterInfo(t.Context()).Val()
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:"+strconv.Itoa(n)) {
				return false
			}
			// Messages are forwarded over links between all pairs of servers.
			if links, err := c.ClusterLinks(t.Context()).Result(); err != nil || len(links) != 2*(n-1) {
				return false
			}
		}
		return true
	})
	return "redis://127.0.0.1:" + ports[0] + "?addr=127.0.0.1:" + strings.Join(ports[1:], "&addr=127.0.0.1:")
}

// server starts a Redis server for the duration of the test.
func server(t *testing.T, port string, args ...string) {
	t.Helper()
	args = append(args, "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "")
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "redis-server", args...)
	must(t, cmd.Start())
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait()
	})
	eventually(t, 30*time.Second, "redis-server listens", func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	addr, err := ports.Reserve()
	must(t, err)
	_, port, _ := net.SplitHostPort(addr)
	return port
}
