package redis

import (
	"sync"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// Of the values that nodes propose at once one counts for all, until the key is forgotten.
// Without Redis nothing is decided.
func TestArbiterDecidesBetweenNodes(t *testing.T) {
	server := servers.Redis(t)
	nodes := newNodes(t, 2, Options{URL: server.URL("redis")})
	decided := make([]string, 10)
	var proposals sync.WaitGroup
	for i := range decided {
		proposals.Go(func() {
			var err error
			if decided[i], err = NewArbiter(nodes[i%2].Redis).Decide(t.Context(), "a {key}/ä", string(rune('a'+i))); err != nil {
				t.Error(err)
			}
		})
	}
	proposals.Wait()
	for _, value := range decided {
		if value != decided[0] || value == "" {
			t.Errorf("decided: %q", decided)
		}
	}
	a := NewArbiter(nodes[0].Redis)
	if err := a.Forget(t.Context(), "a {key}/ä", "unknown"); err != nil {
		t.Error(err)
	}
	if value, err := a.Decide(t.Context(), "a {key}/ä", "later"); err != nil || value != "later" {
		t.Errorf("decided %q, %v after it was forgotten", value, err)
	}
	server.Kill()
	if value, err := a.Decide(t.Context(), "another", "value"); !storage.Transient(err) {
		t.Errorf("decided %q, %v without Redis", value, err)
	}
}
