package redis

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

var _ storage.FlushRelay = (*Locker)(nil)

// relayTimeout is how long a node may take at most to flush for another.
const relayTimeout = 2 * time.Second

// flushScript asks the holder of the lock, if there is one, to flush and to say so.
var flushScript = newScript("flush", `
	local holder = redis.call("GET", KEYS[1])
	if not holder then
		return 0
	end
	redis.call("PUBLISH", ARGV[1], "flush " .. holder .. " " .. ARGV[2])
	return 1`)

// flushedScript answers flushScript.
var flushedScript = newScript("flushed", `
	redis.call("PUBLISH", ARGV[1], "flushed " .. ARGV[2])
	return 1`)

// OnFlush implements storage.FlushRelay.
func (l *Locker) OnFlush(flush func(ctx context.Context, id string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush = flush
}

// RelayFlush implements storage.FlushRelay. The holder may be this node: it is asked like
// any other, and has little to do.
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

// flushAsked is called when a node wants the upload flushed whose lock a token names. The
// text is that token and the name of the request.
func (l *Locker) flushAsked(text string) {
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
		_, _ = l.run(ctx, call{script: flushedScript, id: h.id, names: lockKeys[:1], args: []any{l.pubsub.channel, request}}) // or the other node waits in vain
	}()
}
