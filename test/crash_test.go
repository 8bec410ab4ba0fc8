package test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func TestAChunkSentAgainAfterAKillIsRight(t *testing.T) {
	t.Parallel()
	s := start(t)
	random := rand.New(rand.NewPCG(27, 28))
	content := NewContent(27, 48*mib+1) // the last byte is not sent before the end
	c := newClient(s, "killed", content)
	chunks := content.Chunks(16 * mib)
	put(t, c, chunks[1], http.StatusAccepted)
	for i := range 10 {
		killed := make(chan struct{})
		time.AfterFunc(time.Duration(random.IntN(60_000))*time.Microsecond, func() {
			s.Kill()
			close(killed)
		})
		answer, err := c.Put(t.Context(), chunks[i%2*2]) // it may be through before the kill
		<-killed
		restart(t, s)
		have := received(t, c.URL)
		want := ranges.NewSet(chunks[1])
		if err == nil && answer.Status == http.StatusAccepted {
			want.Add(chunks[i%2*2])
		}
		if lost := want.Minus(have); !lost.Empty() {
			t.Fatalf("kill %d: acknowledged and lost: %v", i, lost)
		}
		if i%2 == 1 {
			ask(t, http.MethodDelete, c.URL, nil, nil, http.StatusNoContent)
			c = newClient(s, fmt.Sprintf("killed-%d", i), content)
			put(t, c, chunks[1], http.StatusAccepted)
		}
	}
	for _, r := range chunks {
		put(t, c, r, http.StatusAccepted, http.StatusCreated)
	}
	wantFile(t, c.URL, content)
}

func TestAChunkIsSentAgainAfterEvery503(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newClient(s, "again", small)
	for _, r := range smallChunk[:9] {
		put(t, c, r, http.StatusAccepted)
	}
	unblock := blockFinish(t, s, "again")
	time.AfterFunc(300*time.Millisecond, unblock)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	answer, err := c.PutUntilTaken(ctx, smallChunk[9])
	if err != nil {
		t.Fatal(err)
	}
	wantDone(t, answer, c)
	wantFile(t, c.URL, small)
}
