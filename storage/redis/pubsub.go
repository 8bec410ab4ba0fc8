package redis

import (
	"context"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// bell is the node's one subscription: on it nodes ask the holders of locks to let
// go, and say when a lock is free; and they ask each other to flush uploads, and say
// that they have. Words may be lost; nobody relies on them.
type pubsub struct {
	channel string
	sub     *redis.PubSub
	asked   func(token string)
	flush   func(text string)
	done    chan struct{}

	mu      sync.Mutex
	waiting map[string]map[chan struct{}]bool // by upload id, or name of a request to flush
}

// newBell returns a bell that hears every word from now on. If Redis does not
// answer it is deaf until Redis does.
func newPubsub(r *Redis, asked, flush func(text string)) *pubsub {
	b := &pubsub{channel: r.opts.Prefix + "bell", asked: asked, flush: flush, done: make(chan struct{}), waiting: map[string]map[chan struct{}]bool{}}
	ctx, cancel := context.WithTimeout(context.Background(), r.opts.timeout)
	defer cancel()
	b.sub = r.client.Subscribe(ctx, b.channel)
	if r.health.down() == nil {
		if _, err := b.sub.Receive(ctx); err != nil { // the confirmation
			r.failed(call{}, err)
		}
	}
	go b.listen(b.sub.Channel())
	return b
}

func (b *pubsub) close() {
	_ = b.sub.Close()
	<-b.done
}

func (b *pubsub) listen(words <-chan *redis.Message) {
	defer close(b.done)
	for word := range words {
		switch kind, of, _ := strings.Cut(word.Payload, " "); kind {
		case "ask":
			b.asked(of)
		case "free", "flushed":
			b.wake(of)
		case "flush":
			b.flush(of)
		}
	}
}

// wait returns a channel that gets a token when the lock of id becomes free, or the
// request of that name is answered.
func (b *pubsub) wait(id string) (woken <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting[id] == nil {
		b.waiting[id] = map[chan struct{}]bool{}
	}
	b.waiting[id][ch] = true
	return ch, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.waiting[id], ch)
		if len(b.waiting[id]) == 0 {
			delete(b.waiting, id)
		}
	}
}

func (b *pubsub) wake(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ch := range b.waiting[id] {
		select {
		case ch <- struct{}{}:
		default: // a token is there already
		}
	}
}
