package redis

import (
	"context"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// pubsub is the node's subscription to one channel. Nodes publish there that they want a
// lock, that a lock is free, that they want an upload flushed, and that it was. Messages may
// be lost: callers must not rely on them.
type pubsub struct {
	channel      string
	sub          *redis.PubSub
	onLockWanted func(token string)
	onFlush      func(text string)
	done         chan struct{}

	mu      sync.Mutex
	waiting map[string]map[chan struct{}]bool // by id of the upload or of the flush request
}

// newPubsub subscribes. While Redis is down messages are lost; the client reconnects.
func newPubsub(r *Redis, onLockWanted, onFlush func(text string)) *pubsub {
	p := &pubsub{channel: r.opts.Prefix + "locks", onLockWanted: onLockWanted, onFlush: onFlush, done: make(chan struct{}), waiting: map[string]map[chan struct{}]bool{}}
	ctx, cancel := context.WithTimeout(context.Background(), r.opts.timeout)
	defer cancel()
	p.sub = r.client.Subscribe(ctx, p.channel)
	if r.health.down() == nil {
		if _, err := p.sub.Receive(ctx); err != nil { // the confirmation
			r.failed(call{}, err)
		}
	}
	go p.listen(p.sub.Channel())
	return p
}

func (p *pubsub) close() {
	_ = p.sub.Close()
	<-p.done
}

func (p *pubsub) listen(messages <-chan *redis.Message) {
	defer close(p.done)
	for m := range messages {
		switch kind, arg, _ := strings.Cut(m.Payload, " "); kind {
		case "ask":
			p.onLockWanted(arg)
		case "free", "flushed":
			p.notify(arg)
		case "flush":
			p.onFlush(arg)
		}
	}
}

// wait returns a channel that receives when the lock of the upload id is free, or the flush
// request id was answered.
func (p *pubsub) wait(id string) (notified <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting[id] == nil {
		p.waiting[id] = map[chan struct{}]bool{}
	}
	p.waiting[id][ch] = true
	return ch, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.waiting[id], ch)
		if len(p.waiting[id]) == 0 {
			delete(p.waiting, id)
		}
	}
}

func (p *pubsub) notify(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ch := range p.waiting[id] {
		select {
		case ch <- struct{}{}:
		default: // already notified
		}
	}
}
