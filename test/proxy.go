package test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Cut says where a connection through a Proxy breaks.
type Cut struct {
	After   int64  // bytes carried before it breaks; negative for never
	Answer  bool   // count the bytes of the server's answers, not those of the client
	Reset   bool   // break with a reset instead of an end of the stream
	Swallow bool   // do not break: swallow slowly what comes then, until the sender gives up
	OneSide bool   // break the sender's side only, as when its network changes: the other notices nothing
	First   func() // if set, is called before it breaks, for one connection at a time
}

// Never is the Cut of a connection that holds.
var Never = Cut{After: -1}

// Proxy is a TCP proxy that breaks connections.
type Proxy struct {
	Addr string

	listener net.Listener
	target   atomic.Pointer[string]
	cut      func() Cut
	line     atomic.Pointer[lineCuts] // nil unless CutLine was called
	sent     atomic.Int64
	cuts     atomic.Int64

	breaking sync.Mutex // held while Cut.First is called

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
	wg     sync.WaitGroup
}

// NewProxy listens on a port of its own and passes connections on to target. cut
// is asked once for each connection.
func NewProxy(target string, cut func() Cut) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{Addr: l.Addr().String(), listener: l, cut: cut, conns: map[net.Conn]struct{}{}}
	p.Target(target)
	p.wg.Go(p.accept)
	return p, nil
}

// Target has connections from now on passed on to another address.
func (p *Proxy) Target(addr string) { p.target.Store(&addr) }

// Sent is how many bytes the clients of closed connections have sent; after
// Close, it is how many all have.
func (p *Proxy) Sent() int64 { return p.sent.Load() }

// Cuts is how many connections were broken.
func (p *Proxy) Cuts() int64 { return p.cuts.Load() }

// Close ends the proxy and all connections.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		breakOff(c, true)
	}
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.carry(client) })
	}
}

func (p *Proxy) carry(client net.Conn) {
	server, err := net.Dial("tcp", *p.target.Load())
	if err != nil {
		breakOff(client, true)
		return
	}
	p.keep(client, server)
	defer p.forget(client, server)
	cut := p.cut()
	up, down := int64(-1), int64(-1)
	if cut.Answer {
		down = cut.After
	} else {
		up = cut.After
	}
	var both sync.WaitGroup
	both.Go(func() { p.sent.Add(p.copy(server, p.counted(client), up, cut)) })
	both.Go(func() { p.copy(client, server, down, cut) })
	both.Wait()
}

// copy passes on what src sends. After limit bytes it breaks both ways. When one
// side ends, it ends the other.
func (p *Proxy) copy(dst, src net.Conn, limit int64, cut Cut) int64 {
	if limit < 0 {
		n, err := io.Copy(dst, src)
		if tcp, ok := dst.(*net.TCPConn); ok && err == nil {
			_ = tcp.CloseWrite()
		} else {
			breakOff(dst, true)
			breakOff(src, true)
		}
		return n
	}
	n, err := io.CopyN(dst, src, limit)
	if err == nil {
		p.cuts.Add(1)
	}
	if err == nil && cut.First != nil {
		p.breaking.Lock()
		cut.First()
		p.breaking.Unlock()
	}
	if err == nil && cut.Swallow {
		swallow(src)
	}
	if err != nil || !cut.OneSide {
		breakOff(dst, cut.Reset)
	}
	breakOff(src, cut.Reset)
	return n
}

// swallow reads to the end of src, about 10 MiB each second.
func swallow(src io.Reader) {
	for {
		if _, err := io.CopyN(io.Discard, src, 64<<10); err != nil {
			return
		}
		time.Sleep(6 * time.Millisecond)
	}
}

func (p *Proxy) keep(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = struct{}{}
		if p.closed {
			breakOff(c, true)
		}
	}
}

func (p *Proxy) forget(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
		_ = c.Close()
	}
}

// breakOff ends a connection, with a reset as when a network is gone, or in order.
func breakOff(c net.Conn, reset bool) {
	if tcp, ok := c.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
