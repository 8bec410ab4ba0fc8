package cluster

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/test"
)

// lockTTL is how long a lock outlives a holder that does not renew it.
const lockTTL = 15 * time.Second

// zombie is a PATCH at a node that stands still: its client has long gone on at
// another one, but its bytes are still to come.
type zombie struct {
	conn net.Conn
	u    *upload
	r    ranges.Range
}

// startZombie sends a PATCH of all that the upload lacks to node n, but only the
// first half of its body.
func startZombie(u *upload, n int) (*zombie, error) {
	conn, err := net.Dial("tcp", u.c.nodes[n].Addr)
	if err != nil {
		return nil, err
	}
	z := &zombie{conn, u, ranges.Range{Start: u.floor(), End: u.content.Size}}
	_, err = fmt.Fprintf(conn, "PATCH /files/%s HTTP/1.1\r\nHost: %s\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: %d\r\n"+
		"Content-Type: application/offset+octet-stream\r\nContent-Length: %d\r\n\r\n", u.id(), conn.RemoteAddr(), z.r.Start, z.r.Len())
	if err == nil {
		_, err = io.Copy(conn, u.content.Part(ranges.Of(z.r.Start, z.r.Len()/2)))
	}
	return z, err
}

// finish sends the other half, and reads the answer, whatever it is: this client
// does not exist any more.
func (z *zombie) finish() {
	defer z.conn.Close()
	_ = z.conn.SetDeadline(time.Now().Add(time.Minute))
	go func() {
		_, _ = io.Copy(z.conn, z.u.content.Part(ranges.Range{Start: z.r.Start + z.r.Len()/2, End: z.r.End}))
	}()
	if resp, err := http.ReadResponse(bufio.NewReader(z.conn), nil); err == nil {
		_, _ = test.ReadAnswer(resp)
	}
}

// The zombies' nodes hold the locks, and the first half of a part in memory. Of
// half of the uploads the client has finished elsewhere when they wake up, of the
// others it is in the middle.
func TestF08HolderPausedBeyondItsLockShiftsNoByte(t *testing.T) {
	t.Parallel()
	c := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	l := c.newTusLoad(perScenario, 5)
	zombies := make([]*zombie, len(l.uploads))
	for n, u := range l.uploads {
		if err := u.create(ctx); err != nil {
			t.Fatal(err)
		}
		var err error
		if zombies[n], err = startZombie(u, 0); err != nil {
			t.Fatal(err)
		}
	}
	locks := c.waitForLocks(ctx, l.uploads)
	c.signal(0, syscall.SIGSTOP)
	c.balancer.takeOut(c.nodes[0].Addr)
	l.goOn(ctx, func(u *upload, n int) int64 { return u.content.Size / int64(1+n%2) })
	for n, u := range l.uploads {
		if now := c.lockOf(ctx, u); now == locks[n] {
			t.Errorf("%s: the paused node still has the lock", u.id())
		}
	}
	c.signal(0, syscall.SIGCONT)
	c.balancer.putBack(c.nodes[0].Addr)
	var walking sync.WaitGroup
	for _, z := range zombies {
		walking.Go(z.finish)
	}
	l.goOn(ctx, func(u *upload, _ int) int64 { return u.content.Size })
	walking.Wait()
	l.wantAll()
	c.wantOnlyFiles(l.uploads...)
}

// newTusLoad is newLoad with nothing but tus clients.
func (c *cluster) newTusLoad(n int, seed uint64) *load {
	l := c.newLoad(n, seed)
	l.began = time.Now()
	for i, u := range l.uploads {
		l.uploads[i] = newUpload(c, tusClient, u.content, u.chunk)
	}
	return l
}

// goOn lets all clients go on, at the same time, up to the offsets that until names.
func (l *load) goOn(ctx context.Context, until func(u *upload, n int) int64) {
	var clients sync.WaitGroup
	for n, u := range l.uploads {
		clients.Go(func() {
			if err := u.patchTo(ctx, until(u, n)); err != nil {
				l.c.t.Error(err)
			}
		})
	}
	clients.Wait()
}

// waitForLocks waits until each upload has a lock, and returns their holders.
func (c *cluster) waitForLocks(ctx context.Context, uploads []*upload) []string {
	c.t.Helper()
	holders := make([]string, len(uploads))
	for n, u := range uploads {
		for holders[n] == "" {
			if ctx.Err() != nil {
				c.t.Fatalf("%s has no lock", u.id())
			}
			holders[n] = c.lockOf(ctx, u)
		}
	}
	return holders
}

// lockOf is the token of the holder of an upload's lock, "" if there is none.
func (c *cluster) lockOf(ctx context.Context, u *upload) string {
	keys, err := c.redisClient().Keys(ctx, "*"+u.id()+"}:lock").Result()
	if err != nil || len(keys) == 0 {
		return ""
	}
	token, _ := c.redisClient().Get(ctx, keys[0]).Result()
	return token
}

func (c *cluster) redisClient() *redis.Client {
	if c.toRedis == nil {
		c.toRedis = redis.NewClient(&redis.Options{Addr: c.redis.Addr})
		c.t.Cleanup(func() { _ = c.toRedis.Close() })
	}
	return c.toRedis
}
