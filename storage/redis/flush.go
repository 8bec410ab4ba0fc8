package redis

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

var _ storage.FlushRelay = (*Locker)(nil)

// relayTimeout limits a flush on behalf of another node.
const relayTimeout = 2 * time.Second

// flushScript asks the holder of the lock, if there is one, to flush and reply.
var flushScript = newScript("flush", `
	local holder = redis.call("GET", KEYS[1])
	if not holder then
		return 0
	end
	redis.call("PUBLISH", ARGV[1], "flush " .. holder .. " " .. ARGV[2])
	return 1`)

// flushedScript replies to flushScript.
var flushedScript = newScript("flushed", `
	redis.call("PUBLISH", ARGV[1], "flushed " .. ARGV[2])
	return 1`)

// OnFlush implements storage.FlushRelay.
func (l *Locker) OnFlush(flush func(ctx context.Context, id string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush = flush
}

// RelayFlush implements storage.FlushRelay. If the holder is this node, it is asked like any
// other, at little cost.
func (l *Locker) RelayFlush(ctx context.Context, id string) bool {
	request := rand.Text()
	flushed, done := l.pubsub.wait(request)
	defer done()
	held, err := l.run(ctx, call{script: flushScript, id: id, names: lockKeys[:1], args: []any{l.pubsub.channel, request}})
	if err != nil || held != int64(1) {
		return false
	}
	select {
	case <-flushed:
	case <-ctx.Done():
	}
	return true
}

// onFlushRequest is called when a node wants an upload flushed. The text is the token of the
// upload's lock and the id of the request.
func (l *Locker) onFlushRequest(text string) {
	token, request, _ := strings.Cut(text, " ")
	l.mu.Lock()
	h, ok := l.leases[token]
	flush := l.flush
	l.mu.Unlock()
	if !ok {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), relayTimeout)
		defer cancel()
		if flush != nil {
			flush(ctx, h.id)
		}
		_, _ = l.run(ctx, call{script: flushedScript, id: h.id, names: lockKeys[:1], args: []any{l.pubsub.channel, request}}) // on failure the other node times out
	}()
}
