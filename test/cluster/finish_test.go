package cluster

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// All nodes get what is missing at the same moment: half of the uploads lack one
// chunk, which comes to every node, the others three, and each node gets one.
func TestF14NodesFinishingAtOnceMakeOneFile(t *testing.T) {
	t.Parallel()
	c := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	l := c.newLoad(perScenario, 9)
	l.began = time.Now()
	for n, u := range l.uploads {
		l.uploads[n] = newUpload(c, rangeClient, u.content, (u.content.Size+4)/5)
	}
	l.each(4, func(u *upload) {
		chunks := u.content.Chunks(u.chunk)
		first, last := chunks[:4], slices.Repeat(chunks[4:], len(c.nodes))
		if u.content.Size%2 == 1 {
			first, last = chunks[:2], chunks[2:]
		}
		if err := u.putAll(ctx, first); err != nil {
			t.Error(err)
		}
		u.finishAtOnce(ctx, last)
	})
	l.wantAll()
	c.wantOnlyFiles(l.uploads...)
}

// finishAtOnce sends each of three chunks to another node, all at the same time,
// and demands that after that every node says that the upload is finished.
func (u *upload) finishAtOnce(ctx context.Context, last []ranges.Range) {
	var senders sync.WaitGroup
	for n, r := range last {
		senders.Go(func() {
			if err := u.put(ctx, u.at(n), r); err != nil {
				u.c.t.Errorf("%v\n%s", err, u.c.faults.history(u.id()))
			}
		})
	}
	senders.Wait()
	for n := range u.c.nodes {
		if offset, err := u.head(ctx, u.at(n)); err != nil || offset != u.content.Size {
			u.c.t.Errorf("node %d says that %s has %d of %d bytes, %v", n, u.id(), offset, u.content.Size, err)
		}
	}
}
