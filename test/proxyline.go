package test

import (
	"net"
	"sync"
)

// lineCuts counts what all clients of a Proxy send.
type lineCuts struct {
	mu   sync.Mutex
	left int64 // bytes until all connections break
	next func() int64
}

// CutLine has all connections break at once, again and again, each time after next() bytes
// were sent over all of them together. It is called before the first connection.
func (p *Proxy) CutLine(next func() int64) { p.line.Store(&lineCuts{left: next(), next: next}) }

// Break breaks all connections.
func (p *Proxy) Break() {
	p.cuts.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		breakOff(c, true)
	}
}

// countedConn is a connection whose bytes count for the line.
type countedConn struct {
	net.Conn
	proxy *Proxy
}

func (p *Proxy) counted(c net.Conn) net.Conn {
	if p.line.Load() == nil {
		return c
	}
	return countedConn{c, p}
}

// Read implements io.Reader.
func (c countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	l := c.proxy.line.Load()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left -= int64(n); l.left <= 0 {
		l.left = l.next()
		c.proxy.Break()
	}
	return n, err
}
