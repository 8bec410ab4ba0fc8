package api

import (
	"context"
	"testing"
)

// Of the values that are proposed for a key the first counts, until the key is forgotten.
func TestMemoryArbiterKeepsTheFirstValue(t *testing.T) {
	var a MemoryArbiter
	for _, value := range []string{"first", "second", "first"} {
		if decided, err := a.Decide(context.Background(), "key", value); err != nil || decided != "first" {
			t.Errorf("decided %q, %v", decided, err)
		}
	}
	if decided, _ := a.Decide(context.Background(), "other", "second"); decided != "second" {
		t.Errorf("another key: decided %q", decided)
	}
	if err := a.Forget(context.Background(), "key", "unknown"); err != nil {
		t.Error(err)
	}
	if decided, _ := a.Decide(context.Background(), "key", "third"); decided != "third" {
		t.Errorf("decided %q after it was forgotten", decided)
	}
}
