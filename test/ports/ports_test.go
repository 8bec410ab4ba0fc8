package ports

import (
	"net"
	"sync"
	"testing"
)

func TestNoPortIsReservedTwice(t *testing.T) {
	var found sync.Map
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			addr, err := Reserve()
			if err != nil {
				t.Error(err)
				return
			}
			if _, twice := found.LoadOrStore(addr, true); twice {
				t.Errorf("%s was reserved twice", addr)
			}
			if err := reserve(addr); err == nil {
				t.Errorf("%s could be reserved once more", addr)
			}
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Errorf("a server can't have it: %v", err)
				return
			}
			_ = l.Close()
		})
	}
	all.Wait()
}

func TestWhatOthersListenToIsNotReserved(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 2 { // nothing is left of the first
		if err := reserve(l.Addr().String()); err == nil {
			t.Error("it was reserved")
		}
		if sign, err := net.ListenPacket("udp", l.Addr().String()); err != nil {
			t.Errorf("the sign was left: %v", err)
		} else {
			_ = sign.Close()
		}
	}
}
