package redis

import (
	"context"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/test/servers"
)

func TestF20FlushReachesTheLockHolder(t *testing.T) {
	t.Parallel()
	nodes := newNodes(t, 3, Options{URL: servers.Redis(t).URL("redis"), LockTTL: time.Minute})
	flushed := make(chan string, 10)
	for i, n := range nodes {
		n.locker.OnFlush(func(_ context.Context, id string) { flushed <- id + " at " + string(rune('0'+i)) })
	}
	if nodes[0].locker.RelayFlush(t.Context(), "it") {
		t.Error("flushed an upload that is not locked")
	}
	unlock, asked := nodes[1].lock(t, "it")
	for _, n := range nodes { // the holder itself included
		if !n.locker.RelayFlush(t.Context(), "it") {
			t.Error("the upload was not flushed")
		}
		select {
		case got := <-flushed: // before RelayFlush returned
			if got != "it at 1" {
				t.Errorf("flushed: %s", got)
			}
		default:
			t.Error("RelayFlush returned before the flush")
		}
	}
	select {
	case <-asked:
		t.Error("the holder was asked to release the lock")
	default:
	}
	unlock()
	if nodes[0].locker.RelayFlush(t.Context(), "it") {
		t.Error("flushed an upload whose lock was released")
	}
}

// A crashed holder must not delay a caller beyond its context.
func TestF20FlushEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	n := newNode(t, Options{URL: s.URL("redis")})
	admin(t, s).Set(t.Context(), n.key("it", "lock"), "of a node that is no more", time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	within(t, 15*time.Second, "the flush", func() { n.locker.RelayFlush(ctx, "it") })
}
