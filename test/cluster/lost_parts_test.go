package cluster

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/test"
)

// triesOfNode is how often a node tries an S3 request before it gives up.
const triesOfNode = 4

// Of what writes to S3, one request in five fails in one of all ways, and some for
// so long that a node gives up.
func TestF01FailingS3RequestsFailNoUpload(t *testing.T) {
	t.Parallel()
	c := start(t)
	l := c.newLoad(perScenario, 10)
	f := &fewFaults{random: rand.New(rand.NewPCG(10, 0)), doomed: map[string]int{}}
	c.faults.set(f.rule)
	l.run(nil)
	c.faults.set(nil)
	if c.faults.count() < perScenario {
		t.Errorf("only %d S3 requests failed", c.faults.count())
	}
	l.wantAll()
}

// fewFaults makes some requests that write fail.
type fewFaults struct {
	mu     sync.Mutex
	random *rand.Rand
	doomed map[string]int // how often requests for a key will still fail
}

func (f *fewFaults) rule(r s3Request) outcome {
	if r.op != "UploadPart" && r.op != "Put" && r.op != "Complete" && r.op != "Begin" {
		return pass
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.doomed[r.key] > 0 {
		f.doomed[r.key]--
		return refuse
	}
	switch n := f.random.IntN(100); {
	case n == 0:
		f.doomed[r.key] = triesOfNode - 1
		return refuse
	case n < 20:
		return []outcome{refuse, cut, lose}[n%3]
	}
	return pass
}

// partlyStored is an upload of three cells in one PATCH, of which the second part
// does not get through while the third is stored.
type partlyStored struct {
	*upload
	third  func()        // called when the third part has come
	stored chan struct{} // closed by third
}

// newPartlyStored creates some of them.
func newPartlyStored(t *testing.T, c *cluster, seed uint64) map[string]*partlyStored {
	all := map[string]*partlyStored{}
	for n := range uint64(3) {
		p := &partlyStored{upload: newUpload(c, tusClient, test.NewContent(seed+n, 48*mib), 48*mib), stored: make(chan struct{})}
		p.third = sync.OnceFunc(func() { close(p.stored) })
		if err := p.create(t.Context()); err != nil {
			t.Fatal(err)
		}
		all[p.id()] = p
	}
	return all
}

// holdBack is a rule that treats the second parts as configured, and records when the
// third ones come.
func holdBack(all map[string]*partlyStored, second func() outcome) func(s3Request) outcome {
	return func(r s3Request) outcome {
		switch {
		case r.op == "UploadPart" && r.part == 2:
			return second()
		case r.op == "UploadPart" && r.part == 3:
			all[r.id].third()
		}
		return pass
	}
}

// sendOnce sends all of the file to node n in one PATCH.
func (p *partlyStored) sendOnce(ctx context.Context, n int) (test.Answer, error) {
	return p.tus(ctx, http.MethodPatch, p.at(n), p.content.Part(p.content.All()),
		"Upload-Offset", "0", "Content-Type", "application/offset+octet-stream")
}

func TestF01PartThatFailsForGoodWhileLaterOnesSucceed(t *testing.T) {
	t.Parallel()
	c := start(t)
	all := newPartlyStored(t, c, 100)
	c.faults.set(holdBack(all, func() outcome { return refuse }))
	var clients sync.WaitGroup
	for _, p := range all {
		clients.Go(func() {
			answer, err := p.sendOnce(t.Context(), 0)
			if err != nil || answer.Status != http.StatusServiceUnavailable {
				t.Errorf("the PATCH of which a part failed: status %d, %v", answer.Status, err)
			}
		})
	}
	clients.Wait()
	c.faults.set(nil)
	finishElsewhere(t, all)
}

func TestF02NodeKilledWhileALaterPartIsStoredAndAnEarlierIsNot(t *testing.T) {
	t.Parallel() // most of it is waiting for locks to lapse
	c := start(t)
	all := newPartlyStored(t, c, 200)
	killed := make(chan struct{})
	c.faults.set(holdBack(all, func() outcome { <-killed; return cut }))
	var clients sync.WaitGroup
	for _, p := range all {
		clients.Go(func() { _, _ = p.sendOnce(t.Context(), 0) }) // breaks off with the node
	}
	for _, p := range all {
		select {
		case <-p.stored:
		case <-time.After(20 * time.Second):
			t.Error("the third part does not come while the second one is on its way")
		}
	}
	time.Sleep(200 * time.Millisecond) // for the third ones to be stored
	c.nodes[0].Kill()
	close(killed)
	clients.Wait()
	c.faults.set(nil)
	finishElsewhere(t, all)
}

// finishElsewhere lets the clients go on at the balancer, and demands that they
// can do so where the second part begins, and that the files are right.
func finishElsewhere(t *testing.T, all map[string]*partlyStored) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	var clients sync.WaitGroup
	for _, p := range all {
		clients.Go(func() {
			if offset, err := p.head(ctx, p.at(1)); err != nil || offset != 16*mib {
				t.Errorf("with parts 1 and 3 of 16 MiB the offset is %d, %v", offset, err)
			}
			p.finish(ctx)
		})
	}
	clients.Wait()
}

// finish sends what the upload lacks, and demands that the file is right.
func (u *upload) finish(ctx context.Context) {
	if err := u.patchTo(ctx, u.content.Size); err != nil {
		u.c.t.Errorf("%v\n%s", err, u.c.faults.history(u.id()))
		return
	}
	if err := u.verify(); err != nil {
		u.c.t.Error(err)
	}
	u.c.wantDelivered(u)
}

// Completing fails, or is done and its answer lost, in both cases for so long that
// the node gives up: then the next request finishes the upload.
func TestF05AFailedFinishIsRetriedByTheNextRequest(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]outcome{"failed": refuse, "done, answer lost": lose} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t)
			tries := map[string]*atomic.Int64{}
			var uploads []*upload
			for n := range uint64(3) {
				u := newUpload(c, tusClient, test.NewContent(300+n, 20*mib), 10*mib)
				if err := u.create(t.Context()); err != nil {
					t.Fatal(err)
				}
				uploads = append(uploads, u)
				tries[u.id()] = &atomic.Int64{}
			}
			c.faults.set(func(r s3Request) outcome {
				if r.op != "Complete" || tries[r.id].Add(1) > triesOfNode {
					return pass
				}
				return fault
			})
			var clients sync.WaitGroup
			for _, u := range uploads {
				clients.Go(func() { u.finish(t.Context()) })
			}
			clients.Wait()
			if c.faults.count() < len(uploads) {
				t.Errorf("only %d requests failed", c.faults.count())
			}
		})
	}
}
