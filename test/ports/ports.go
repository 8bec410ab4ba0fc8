// Package ports finds ports for servers that are started, killed and started again by
// tests, many of which run at once and in several processes.
package ports

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// kept holds the signs of what is reserved, for a socket without a reference is closed.
var kept sync.Map // net.PacketConn by address

// Ports below those that systems give to outgoing connections, and to a listener that asks for
// any, so that none is taken by chance while its server is down.
const first, last = 10_000, 31_999

// Reserve returns an address, HOST:PORT, without a listener, and which no other
// call returns in any process as long as this one lives.
func Reserve() (addr string, err error) {
	for range 100 {
		addr = fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(last-first+1))
		if err = reserve(addr); err == nil {
			return addr, nil
		}
	}
	return "", fmt.Errorf("find a free port: %w", err)
}

// reserve takes the port of another protocol as a sign for other processes: the system
// takes it back when this one ends, however it does.
func reserve(addr string) error {
	sign, err := net.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	// To listen and to close would not do: a process that is being started by another
	// goroutine has the listener for a moment longer.
	if c, err := net.Dial("tcp", addr); err == nil {
		return errors.Join(errTaken, c.Close(), sign.Close())
	}
	kept.Store(addr, sign)
	return nil
}

var errTaken = errors.New("the port has a listener")
