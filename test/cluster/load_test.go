package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/test"
)

const (
	// perScenario is how many uploads each scenario has.
	perScenario = 50
	// atOnce is how many of them run at the same time.
	atOnce = 16
	// deadline is how long all of them may take, a crashed holder's lock included.
	deadline = 100 * time.Second
)

// test40MiB is a file of several cells.
var test40MiB = test.NewContent(40, 40*mib)

// load is many uploads of all kinds.
type load struct {
	c       *cluster
	uploads []*upload
	total   int64
	began   time.Time
	heads   atomic.Int64 // answers that the watchers got
}

// newLoad makes up uploads: mostly of a few MiB in chunks that end anywhere, some
// of several cells; half of them by each kind of client.
func (c *cluster) newLoad(n int, seed uint64) *load {
	random := rand.New(rand.NewPCG(seed, 0))
	l := &load{c: c}
	for i := range n {
		size, chunk := 3*mib+random.Int64N(9*mib), 500*kib+random.Int64N(3*mib)
		if i%10 >= 7 {
			size, chunk = 20*mib+random.Int64N(20*mib), 3*mib+random.Int64N(9*mib)
		}
		content := test.NewContent(seed<<16+uint64(i), size)
		l.uploads = append(l.uploads, newUpload(c, kind(i%2), content, chunk))
		l.total += size
	}
	return l
}

// run sends everything, while watchers ask for the state of whatever is on its
// way and meanwhile, if there is one, makes trouble.
func (l *load) run(meanwhile func()) {
	l.c.t.Helper()
	ctx, cancel := context.WithTimeout(l.c.t.Context(), deadline)
	defer cancel()
	l.began = time.Now()
	var trouble, watchers sync.WaitGroup
	if meanwhile != nil {
		trouble.Go(meanwhile)
	}
	watching, stop := context.WithCancel(ctx)
	for range 4 {
		watchers.Go(func() { l.watch(watching) })
	}
	l.each(atOnce, func(u *upload) {
		if err := u.send(ctx); err != nil {
			l.c.t.Errorf("%v\n%s", err, l.c.faults.history(u.id()))
		}
	})
	stop()
	watchers.Wait()
	trouble.Wait()
	if l.heads.Load() == 0 {
		l.c.t.Error("the watchers saw nothing")
	}
}

// each does something with every upload, a number of them at once.
func (l *load) each(atOnce int, what func(*upload)) {
	queue := make(chan *upload)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for u := range queue {
				what(u)
			}
		})
	}
	for _, u := range l.uploads {
		queue <- u
	}
	close(queue)
	workers.Wait()
}

// watch asks for the offset of one upload after the other, at one node after the
// other: that must neither disturb them nor show an offset going back.
func (l *load) watch(ctx context.Context) {
	for ctx.Err() == nil {
		for _, n := range rand.Perm(len(l.uploads)) {
			u := l.uploads[n]
			if u.confirmed() == 0 {
				continue // there may be nothing yet
			}
			_, err := u.head(ctx, u.address())
			switch {
			case err == nil:
				l.heads.Add(1)
			case !errors.Is(err, errLater) && ctx.Err() == nil:
				l.c.t.Errorf("while it was sent: %v", err)
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// reached waits until servers have confirmed that part of all bytes.
func (l *load) reached(part float64) {
	for until := time.Now().Add(deadline); time.Now().Before(until); time.Sleep(2 * time.Millisecond) {
		var have int64
		for _, u := range l.uploads {
			have += u.confirmed()
		}
		if float64(have) >= part*float64(l.total) {
			return
		}
	}
	l.c.t.Errorf("after %v not even %.0f%% are confirmed", deadline, 100*part)
}

// wantAll demands that every file is what was sent, and was delivered to the app.
func (l *load) wantAll() {
	l.c.t.Helper()
	sent := time.Since(l.began)
	l.each(4, func(u *upload) {
		if err := u.verify(); err != nil {
			l.c.t.Error(err)
		}
	})
	l.c.wantDelivered(l.uploads...)
	l.c.t.Logf("%d uploads, %d MiB: sent in %.1f s, verified in %.1f s, %d states read on the way, %d S3 requests failed",
		len(l.uploads), l.total/mib, sent.Seconds(), (time.Since(l.began) - sent).Seconds(), l.heads.Load(), l.c.faults.count())
}

// verify downloads the file and compares it with what was sent.
func (u *upload) verify() error {
	resp, err := http.Get(u.address())
	if err != nil {
		return fmt.Errorf("download %s: %w", u.id(), err)
	}
	defer resp.Body.Close()
	sum, n, err := test.Sum(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("download %s: status %d, %d bytes, %v", u.id(), resp.StatusCode, n, err)
	}
	if n != u.content.Size || sum != u.content.Sum() {
		return fmt.Errorf("%s is not what was sent: %d bytes, sum %s; want %d, %s", u.id(), n, sum, u.content.Size, u.content.Sum())
	}
	return nil
}

func TestChunksOfAnUploadOnDifferentNodesMakeOneFile(t *testing.T) {
	t.Parallel()
	c := start(t)
	l := c.newLoad(perScenario, 1)
	l.run(nil)
	l.wantAll()
	c.wantOnlyFiles(l.uploads...)
}
