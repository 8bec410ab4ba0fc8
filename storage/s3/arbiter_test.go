package s3

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
)

// unconditional returns the options for nodes of a server that honors no If-None-Match.
func unconditional(t *testing.T) Options {
	opts := bucket(t)
	can := api.AllAbilities
	can.PutIfAbsent, can.CompleteIfAbsent = false, false
	opts.assume, opts.Arbiter = &can, new(api.MemoryArbiter)
	return opts
}

// Of many concurrent creations of one upload, on two nodes, one succeeds, although S3 does
// not decide which.
func TestF37OneOfManyCreationsSucceedsWithoutConditionalPuts(t *testing.T) {
	opts := unconditional(t)
	nodes := []*Store{mustOpen(t, opts), mustOpen(t, opts)}
	for round := range 5 {
		id := fmt.Sprint("one-", round)
		var created atomic.Int32
		parallel(8, 8, func(i int) {
			rec := storage.Record{ID: id, Size: int64(i + 1), Created: time.Now(), ClientChosenID: true}
			switch err := nodes[i%2].Create(t.Context(), rec); {
			case err == nil:
				created.Add(1)
			case !errors.Is(err, storage.ErrExists):
				t.Errorf("create: %v", err)
			}
		})
		if n := created.Load(); n != 1 {
			t.Errorf("%d creations of %s succeeded", n, id)
		}
	}
}

// Of many concurrent puts of different objects under one key, on two nodes, one succeeds, and
// its object stays. When that is removed, the next one succeeds.
func TestF37OneOfManyPutsSucceedsWithoutConditionalPuts(t *testing.T) {
	opts := unconditional(t)
	nodes := []*Store{mustOpen(t, opts), mustOpen(t, opts)}
	for range 5 {
		var stored atomic.Int32
		parallel(8, 8, func(i int) {
			o := api.JSONObject("key", fmt.Append(nil, i))
			o.IfAbsent = true
			switch err := nodes[i%2].client.Put(t.Context(), o); {
			case err == nil:
				if stored.Add(1) > 1 {
					t.Error("two puts succeeded")
				}
				if text, err := nodes[0].client.Get(t.Context(), "key"); string(text) != fmt.Sprint(i) {
					t.Errorf("put %d succeeded, and %q is stored, %v", i, text, err)
				}
			case !errors.Is(err, api.ErrTaken) && !storage.Transient(err):
				t.Errorf("put: %v", err)
			}
		})
		if stored.Load() != 1 {
			t.Errorf("%d puts succeeded", stored.Load())
		}
		if err := nodes[1].client.Remove(t.Context(), "key"); err != nil {
			t.Error(err)
		}
	}
}
