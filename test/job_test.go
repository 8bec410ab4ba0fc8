package test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// job is the main job: a phone that sends a video through a bad network to a
// server that is killed again and again.
type job struct {
	t       *testing.T
	server  *Server
	client  *Client
	content Content

	mu     sync.Mutex
	acked  ranges.Set
	number int // chunks acknowledged
}

// The numbers of the main job.
const (
	jobSize     = 2 * gib
	jobChunk    = 50 * mib
	jobAtOnce   = 6
	jobSeed     = 20_01
	jobCutRate  = 3 // one connection in so many is cut
	jobDeadline = 150 * time.Second
)

// killAfter are the numbers of acknowledged chunks after which the server is killed.
var killAfter = []int{5, 13, 22, 30, 38}

func TestMainJobEveryByteRightThroughCutsAndKills(t *testing.T) {
	server := start(t)
	content := NewContent(jobSeed, jobSize)
	proxy := proxied(t, server, randomCuts(rand.New(rand.NewPCG(jobSeed, 1))))
	transport := &http.Transport{MaxIdleConnsPerHost: jobAtOnce}
	j := &job{t: t, server: server, content: content, client: &Client{
		HTTP:    &http.Client{Transport: transport},
		URL:     "http://" + proxy.Addr + "/files/video",
		Content: content,
		Header:  phoneHeader(content.Size),
	}}

	ctx, cancel := context.WithTimeout(t.Context(), jobDeadline)
	defer cancel()
	began := time.Now()
	killed := make(chan int, 1)
	go func() { killed <- j.killAndRestart(ctx) }()
	j.sendAll(ctx)
	kills := <-killed
	took := time.Since(began)
	transport.CloseIdleConnections()
	proxy.Close()

	if kills != len(killAfter) {
		t.Errorf("the server was killed %d times, %d were planned", kills, len(killAfter))
	}
	if proxy.Cuts() == 0 {
		t.Error("no connection was cut")
	}
	wantFile(t, server.URL("video"), content)
	fmt.Printf("main job: %d MiB in %d chunks, %d connections cut, %d kills, %.1f s: %.2f bytes sent for each byte stored\n",
		jobSize/mib, len(content.Chunks(jobChunk)), proxy.Cuts(), kills, took.Seconds(), float64(proxy.Sent())/float64(jobSize))
}

// phoneHeader is what iOS 17 and later add to an upload on their own accord.
func phoneHeader(size int64) http.Header {
	return http.Header{
		"Upload-Draft-Interop-Version": {"6"},
		"Upload-Complete":              {"?1"},
		"Upload-Length":                {fmt.Sprint(size)},
		"Content-Type":                 {"video/mp4"},
	}
}

// randomCuts cuts one connection in jobCutRate: mostly somewhere in a chunk, now
// and then in the answer to it.
func randomCuts(random *rand.Rand) func() Cut {
	var mu sync.Mutex
	return func() Cut {
		mu.Lock()
		defer mu.Unlock()
		reset := random.IntN(2) == 0
		switch random.IntN(4 * jobCutRate) {
		case 0:
			return Cut{After: random.Int64N(200), Answer: true, Reset: reset}
		case 1, 2, 3:
			return Cut{After: random.Int64N(2 * jobChunk), Reset: reset}
		}
		return Never
	}
}

// sendAll sends all chunks, in no order and several at once. A tenth of them go
// twice: some at the same time, some long after the first.
func (j *job) sendAll(ctx context.Context) {
	random := rand.New(rand.NewPCG(jobSeed, 2))
	chunks := j.content.Chunks(jobChunk)
	random.Shuffle(len(chunks), func(a, b int) { chunks[a], chunks[b] = chunks[b], chunks[a] })
	queue := slices.Insert(slices.Clone(chunks), 1, chunks[0])
	queue = slices.Insert(queue, len(queue)/2, chunks[1])
	queue = append(queue, chunks[2], chunks[len(chunks)-1])

	next := make(chan ranges.Range)
	var senders sync.WaitGroup
	for range jobAtOnce {
		senders.Go(func() {
			for r := range next {
				j.sendOne(ctx, r)
			}
		})
	}
	for _, r := range queue {
		next <- r
	}
	close(next)
	senders.Wait()
}

func (j *job) sendOne(ctx context.Context, r ranges.Range) {
	answer, err := j.client.PutUntilTaken(ctx, r)
	if err != nil {
		j.t.Errorf("chunk %v: %v", r, err)
		return
	}
	next, err := ParseRanges(answer.State.NextExpectedRanges)
	if err != nil {
		j.t.Error(err)
	} else if !next.Empty() && r.Intersect(ranges.Of(next.First().Start, 1)).Len() > 0 {
		j.t.Errorf("chunk %v was taken, but is expected next: %s", r, answer.Body)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.acked.Add(r)
	j.number++
}

// killAndRestart kills the server each time that enough chunks were acknowledged,
// and returns how often it did.
func (j *job) killAndRestart(ctx context.Context) int {
	for kills, after := range killAfter {
		for j.acknowledged() < after {
			if ctx.Err() != nil {
				return kills
			}
			time.Sleep(time.Millisecond)
		}
		j.server.Kill()
		promised := j.promised()
		time.Sleep(50 * time.Millisecond)
		if err := j.server.Start(); err != nil {
			j.t.Error(err)
			return kills
		}
		j.checkKept(promised)
	}
	return len(killAfter)
}

func (j *job) acknowledged() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.number
}

func (j *job) promised() ranges.Set {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.acked.Clone()
}

// checkKept demands that the server still has every range that it acknowledged.
func (j *job) checkKept(promised ranges.Set) {
	req, err := http.NewRequest(http.MethodGet, j.server.URL("video"), nil)
	if err != nil {
		j.t.Error(err)
		return
	}
	answer, err := Do(http.DefaultClient, req)
	if err != nil || answer.Status != http.StatusOK {
		j.t.Errorf("status after a restart: %d %s (%v)", answer.Status, answer.Body, err)
		return
	}
	have, err := ParseRanges(answer.State.Received)
	if err != nil {
		j.t.Error(err)
	}
	if lost := promised.Minus(have); !lost.Empty() {
		j.t.Errorf("acknowledged and lost: %v", lost)
	}
}
