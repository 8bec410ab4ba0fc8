package cluster

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"sync"
	"testing"
)

// balancer is a proxy that sends each request to the next node, round robin, whatever
// client or upload it is of. Bodies stream through it. A node that refuses
// connections is skipped; if a node breaks off, so does the client's connection.
type balancer struct {
	*httptest.Server

	mu    sync.Mutex
	nodes []string // addresses
	out   map[string]bool
	turn  int
	conns map[net.Conn]string // to which node
}

func newBalancer(t *testing.T, nodes ...string) *balancer {
	b := &balancer{nodes: nodes, out: map[string]bool{}, conns: map[net.Conn]string{}}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "node"
			r.SetXForwarded()
		},
		// Every request dials, and so goes to another node than the one before it.
		Transport:     &http.Transport{DialContext: b.dial, DisableKeepAlives: true, DisableCompression: true},
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:      quiet,
	}
	b.Server = httptest.NewUnstartedServer(proxy)
	b.Config.ErrorLog = quiet
	b.Start()
	t.Cleanup(func() {
		b.CloseClientConnections()
		b.Close()
	})
	return b
}

var errNoNode = errors.New("no node takes connections")

func (b *balancer) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	var dialer net.Dialer
	for range b.nodes {
		addr, ok := b.next()
		if !ok {
			continue
		}
		if conn, err := dialer.DialContext(ctx, network, addr); err == nil {
			return b.keep(conn, addr), nil
		}
	}
	return nil, errNoNode
}

func (b *balancer) next() (addr string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn++
	addr = b.nodes[b.turn%len(b.nodes)]
	return addr, !b.out[addr]
}

// takeOut keeps requests from a node, and breaks off those that it has, as
// balancers do with a node that fails its health check.
func (b *balancer) takeOut(addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.out[addr] = true
	for conn, to := range b.conns {
		if to == addr {
			_ = conn.Close()
		}
	}
}

func (b *balancer) putBack(addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.out, addr)
}

func (b *balancer) keep(conn net.Conn, addr string) net.Conn {
	b.mu.Lock()
	defer b.mu.Unlock()
	kept := &nodeConn{conn, b}
	b.conns[conn] = addr
	return kept
}

// nodeConn is forgotten by the balancer when it is closed.
type nodeConn struct {
	net.Conn
	b *balancer
}

func (c *nodeConn) Close() error {
	c.b.mu.Lock()
	delete(c.b.conns, c.Conn)
	c.b.mu.Unlock()
	return c.Conn.Close()
}

func TestBalancerSendsEveryRequestToAnotherNodeAndSkipsDeadOnes(t *testing.T) {
	t.Parallel()
	var names []string
	var nodes []*httptest.Server
	for _, name := range []string{"a", "b", "c"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(name)) }))
		defer s.Close()
		nodes, names = append(nodes, s), append(names, s.Listener.Addr().String())
	}
	b := newBalancer(t, names...)
	want := func(n int, among ...string) {
		t.Helper()
		var got []string
		for range n {
			answer := do(t, mustRequest(t, http.MethodGet, b.URL, nil))
			got = append(got, string(answer.Body))
		}
		slices.Sort(got)
		if !slices.Equal(got, among) {
			t.Errorf("%d requests went to %v, want %v", n, got, among)
		}
	}
	want(3, "a", "b", "c")
	nodes[1].Close()
	b.takeOut(names[2])
	want(3, "a", "a", "a")
	b.putBack(names[2])
	want(1, "c")
}
