//go:build linux

package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// line is a network between a server and a client.
type line struct {
	delay time.Duration // in each direction
	rate  float64       // Mbit/s, in each direction
	loss  float64       // share of packets

	congestion string // the control of both ends, as Linux names it

	server, client *namespace
	up, down       direction
}

// queue is how long a packet may wait for its turn before it is dropped, as in the buffer
// of a router.
const queue = 100 * time.Millisecond

func (l *line) open() (err error) {
	if l.server, err = newNamespace(serverAddr, l.congestion); err != nil {
		return err
	}
	if l.client, err = newNamespace(clientAddr, l.congestion); err != nil {
		return err
	}
	go l.up.carry(l, l.client.tun, l.server.tun)
	go l.down.carry(l, l.server.tun, l.client.tun)
	return nil
}

// direction is one direction of a line.
type direction struct{ bytes atomic.Int64 }

type packet struct {
	bytes []byte
	at    time.Time // when it arrives
}

// carry passes packets on until the process ends.
func (d *direction) carry(l *line, from, to *os.File) {
	arriving := make(chan packet, 1<<16)
	go func() {
		for p := range arriving {
			time.Sleep(time.Until(p.at))
			_, _ = to.Write(p.bytes) // a device that drops a packet is a line that does
		}
	}()
	free := time.Now() // when the packets before are on their way
	for {
		buf := make([]byte, 2048)
		n, err := from.Read(buf)
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench: the line:", err)
			return
		}
		d.bytes.Add(int64(n))
		now := time.Now()
		if free.Before(now) {
			free = now
		}
		if rand.Float64() < l.loss || free.Sub(now) > queue {
			continue
		}
		free = free.Add(time.Duration(float64(n) * 8e3 / l.rate))
		arriving <- packet{buf[:n], free.Add(l.delay)}
	}
}

// namespace is a network namespace with a TUN device.
type namespace struct {
	tun   *os.File
	calls chan func()
}

// newNamespace makes a namespace with an address. One thread stays in it, and runs what do
// is given.
func newNamespace(addr, congestion string) (*namespace, error) {
	n := &namespace{calls: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		err := n.enter(addr, congestion)
		ready <- err
		for call := range n.calls {
			call()
		}
	}()
	return n, <-ready
}

func (n *namespace) enter(addr, congestion string) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq("line0")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return fmt.Errorf("make the device: %w", err)
	}
	n.tun = os.NewFile(uintptr(fd), "/dev/net/tun")
	script := "ip link set lo up && ip addr add " + addr + "/30 dev line0 && ip link set line0 txqueuelen 10000 up && ip route replace 198.18.0.0/30 dev line0 congctl " + congestion
	if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
		return fmt.Errorf("ip: %w: %s", err, out)
	}
	return nil
}

// do runs a function in the namespace: processes that it starts are in it.
func (n *namespace) do(f func() error) error {
	done := make(chan error)
	n.calls <- func() { done <- f() }
	return <-done
}

// script runs a script of bash in the namespace.
func (n *namespace) script(env []string, text string, out io.Writer) error {
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", text)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, out, os.Stderr
	return n.do(cmd.Run)
}
