package redis

import (
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/test/servers"
)

func TestBoardShowsWhatOtherNodesPost(t *testing.T) {
	url := servers.Redis(t).URL("redis")
	nodes := newNodes(t, 3, Options{URL: url, heartbeatInterval: 50 * time.Millisecond})
	a, b := NewBoard(nodes[0].Redis), NewBoard(nodes[1].Redis)
	if watched, err := b.Watched(t.Context()); watched || err != nil {
		t.Errorf("before a node reads it is watched: %t, %v", watched, err)
	}
	if err := b.Post(t.Context(), "of b"); err != nil {
		t.Fatal(err)
	}
	var found map[string]string
	for end := time.Now().Add(30 * time.Second); len(found) < 2; time.Sleep(10 * time.Millisecond) {
		var err error
		if found, err = a.Read(t.Context()); err != nil || time.Now().After(end) {
			t.Fatalf("%v, %v", found, err)
		}
	}
	if found[nodes[1].nodes.id] != "of b" || found[nodes[2].nodes.id] != "" {
		t.Errorf("%v", found)
	}
	if watched, err := b.Watched(t.Context()); !watched || err != nil {
		t.Errorf("after a node has read it is watched: %t, %v", watched, err)
	}
	for _, name := range []string{"watched", "board:" + nodes[1].nodes.id} {
		if ttl, err := a.r.client.PTTL(t.Context(), a.r.key("", name)).Result(); err != nil || ttl <= 0 || ttl > postTTL {
			t.Errorf("%s expires in %v, %v", name, ttl, err)
		}
	}
}
