package lru

import (
	"slices"
	"testing"
)

func TestTheLeastRecentlyUsedIsEvicted(t *testing.T) {
	c := New[int](10)
	put := func(key string, bytes int64, evicted ...string) {
		t.Helper()
		if got := c.Put(key, int(bytes), bytes); !slices.Equal(got, evicted) {
			t.Errorf("put %s: evicted %v, want %v", key, got, evicted)
		}
	}
	put("a", 4)
	put("b", 4)
	c.Get("a")
	put("c", 2)
	put("d", 1, "b")
	put("a", 7) // it replaces itself
	put("big", 100, "c", "d", "a")
	put("e", 1, "big")
	c.Delete("e")
	c.Delete("e")
	put("f", 10)
	if v, ok := c.Get("f"); !ok || v != 10 {
		t.Errorf("f is %v, %v", v, ok)
	}
	if _, ok := c.Get("e"); ok {
		t.Error("what was deleted is there")
	}
}
