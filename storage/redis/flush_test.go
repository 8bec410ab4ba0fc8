package redis

import (
	"context"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/test/servers"
)

func TestF20AFlushReachesTheNodeThatHoldsTheLock(t *testing.T) {
	t.Parallel()
	nodes := newNodes(t, 3, Options{URL: servers.Redis(t).URL("redis"), LockTTL: time.Minute})
	flushed := make(chan string, 10)
	for i, n := range nodes {
		n.locker.OnFlush(func(_ context.Context, id string) { flushed <- id + " at " + string(rune('0'+i)) })
	}
	if nodes[0].locker.RelayFlush(t.Context(), "it") {
		t.Error("somebody has flushed an upload that nobody has locked")
	}
	unlock, asked := nodes[1].lock(t, "it")
	for _, n := range nodes { // the holder itself included
		if !n.locker.RelayFlush(t.Context(), "it") {
			t.Error("nobody has flushed the upload")
		}
		select {
		case got := <-flushed: // before it was answered
			if got != "it at 1" {
				t.Errorf("flushed: %s", got)
			}
		default:
			t.Error("it was answered before it was flushed")
		}
	}
	select {
	case <-asked:
		t.Error("the holder was asked to let go")
	default:
	}
	unlock()
	if nodes[0].locker.RelayFlush(t.Context(), "it") {
		t.Error("somebody has flushed an upload whose lock was given back")
	}
}

// A holder that is no more keeps nobody for longer than he wants to wait.
func TestF20AFlushEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	n := newNode(t, Options{URL: s.URL("redis")})
	admin(t, s).Set(t.Context(), n.key("it", "lock"), "of a node that is no more", time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	within(t, 15*time.Second, "the flush", func() { n.locker.RelayFlush(ctx, "it") })
}
