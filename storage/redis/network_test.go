package redis

import (
	"net"
	"sync"
	"testing"
)

// link is the network between one node and Redis, which can be cut.
type link struct {
	listener net.Listener
	to       string

	mu     sync.Mutex
	down   bool
	silent bool // while it is down: connections stay, and nothing comes through
	conns  []net.Conn
}

func newLink(t *testing.T, to string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{listener: listener, to: to}
	go l.serve()
	t.Cleanup(func() {
		_ = listener.Close()
		l.cut(false)
	})
	return l
}

func (l *link) url() string { return "redis://" + l.listener.Addr().String() }

func (l *link) serve() {
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.join(conn)
	}
}

func (l *link) join(conn net.Conn) {
	far, err := net.Dial("tcp", l.to)
	if err != nil {
		_ = conn.Close()
		return
	}
	l.mu.Lock()
	l.conns = append(l.conns, conn, far)
	refused := l.down && !l.silent
	l.mu.Unlock()
	if refused {
		_ = conn.Close()
		_ = far.Close()
		return
	}
	go l.pipe(far, conn)
	l.pipe(conn, far)
}

// pipe passes bytes on. What comes while the link is silent is lost.
func (l *link) pipe(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		l.mu.Lock()
		lost := l.down
		l.mu.Unlock()
		if !lost {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut ends all connections, or has them fall silent.
func (l *link) cut(silent bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down, l.silent = true, silent
	for _, c := range l.conns {
		if !silent {
			_ = c.Close()
		}
	}
}

// mend lets new connections through. Those that were silent end.
func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.conns = nil
}
