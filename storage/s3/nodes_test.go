package s3

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/test/logs"
)

// watchNodes starts a node that watches the others, until the test ends or stop is called.
func watchNodes(t *testing.T, opts Options, shared bool) (s *Store, log *logs.Buffer, stop func()) {
	log = &logs.Buffer{}
	opts.Log, opts.nodeInterval = slog.New(slog.NewTextHandler(log, nil)), 50*time.Millisecond
	if shared {
		opts.Arbiter = new(api.MemoryArbiter)
	}
	s = mustOpen(t, opts)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return s, log, stop
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

const otherNode = "another holdfast uses this bucket"

// Two nodes over one bucket without Redis are noticed, by both. What a crashed one has left
// is not taken for a node.
func TestTwoNodesWithoutRedisAreNoticed(t *testing.T) {
	opts := bucket(t)
	first, log, _ := watchNodes(t, opts, false)
	if err := first.client.Put(t.Context(), api.JSONObject(first.nodeKey("crashed"), []byte(`{}`))); err != nil {
		t.Fatal(err)
	}
	_, other, stop := watchNodes(t, opts, false)
	until(t, "both nodes warn", func() bool { return log.Count(otherNode) > 0 && other.Count(otherNode) > 0 })
	if log.Count("node=crashed")+other.Count("node=crashed") > 0 {
		t.Error("a crashed node is taken for a live one")
	}
	stop()
	keys, _ := leftIn(t, first)
	if len(keys) != 2 {
		t.Errorf("the reports of nodes are %v, want the crashed one and that of the first", keys)
	}
	if _, err := first.client.Head(t.Context(), first.nodeKey("crashed")); err != nil {
		t.Error(err)
	}
}

// Nodes that share Redis do not warn; with a third that does not, all do.
func TestANodeWithoutRedisBesideOthersIsNoticed(t *testing.T) {
	opts := bucket(t)
	a, first, _ := watchNodes(t, opts, true)
	_, second, _ := watchNodes(t, opts, true)
	until(t, "both have reported", func() bool { keys, _ := leftIn(t, a); return len(keys) == 2 })
	_, third, _ := watchNodes(t, opts, false)
	until(t, "each warns of the node without Redis", func() bool {
		return first.Count(otherNode) > 0 && second.Count(otherNode) > 0 && third.Count(otherNode) > 1
	})
	if first.Count(otherNode) != 1 || second.Count(otherNode) != 1 {
		t.Errorf("nodes that share Redis warn of each other: %d and %d warnings", first.Count(otherNode), second.Count(otherNode))
	}
}

// Where S3 does not decide which of two nodes creates an upload, the later one creates none.
func TestF37TheLaterOfTwoNodesCreatesNothingWhereS3DoesNotDecide(t *testing.T) {
	opts := bucket(t)
	can := api.AllAbilities
	can.PutIfAbsent = false
	opts.assume = &can
	first, _, _ := watchNodes(t, opts, false)
	until(t, "the first has reported", func() bool { keys, _ := leftIn(t, first); return len(keys) == 1 })
	second, log, _ := watchNodes(t, opts, false)
	until(t, "the second is not ready", func() bool { return storage.Transient(second.Check(t.Context())) })
	if err := second.Create(t.Context(), storage.Record{ID: "one", Size: 1}); !storage.Transient(err) {
		t.Errorf("the second creates an upload: %v", err)
	}
	if log.Count("creates no uploads") != 1 {
		t.Error("it does not say so")
	}
	if err := first.Create(t.Context(), storage.Record{ID: "one", Size: 1, Created: time.Now()}); err != nil {
		t.Errorf("the first creates none: %v", err)
	}
}
