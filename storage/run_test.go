package storage_test

import (
	"context"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// working is a store with work of its own.
type working struct {
	storage.Store
	run func(context.Context)
}

func (w working) Run(ctx context.Context) { w.run(ctx) }

// Programs that run the core have nothing else to run: not the store, not an observer.
func TestRunDoesTheWorkOfTheStoreAndOfEachObserver(t *testing.T) {
	begun, ended := make(chan string), make(chan string)
	work := func(name string) func(context.Context) {
		return func(ctx context.Context) {
			begun <- name
			<-ctx.Done()
			ended <- name
		}
	}
	store := working{storagetest.NewMemory(1 << 20), work("store")}
	u := storage.New(store, &storage.MemoryLocker{}, &storage.MemoryCache{}, storage.Options{
		Observer: storage.Observers(storage.Observer{Run: work("first")}, storage.Observer{}, storage.Observer{Run: work("second")}),
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	returned := make(chan struct{})
	go func() { defer close(returned); u.Run(ctx, time.Hour) }()
	for _, from := range []chan string{begun, ended} {
		got := map[string]bool{<-from: true, <-from: true, <-from: true}
		if !got["store"] || !got["first"] || !got["second"] {
			t.Errorf("%v", got)
		}
		stop()
	}
	<-returned
}
