package cluster

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/test"
)

// Upload tasks of URLSession, whose every request goes to another node, while the nodes are
// killed one after the other.
func TestIETFUploadTasksSurviveTheDeathOfNodes(t *testing.T) {
	t.Parallel() // most of it is waiting for locks to lapse
	c := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	var sending sync.WaitGroup
	uploads := make([]*upload, 3)
	for n, version := range []int{3, 6, 8} {
		sending.Go(func() {
			task := &test.URLSession{HTTP: &http.Client{Transport: &http.Transport{}}, URL: c.balancer.URL + "/files/", Version: version,
				Content: test.NewContent(uint64(90+n), 24*mib), PerMiB: 100 * time.Millisecond}
			answer, err := task.Run(ctx)
			if err != nil || answer.Status != http.StatusCreated {
				t.Errorf("interop %d: %v, status %d: %s", version, err, answer.Status, answer.Body)
			}
			uploads[n] = &upload{c: c, content: task.Content, url: task.Upload()}
		})
	}
	ended := make(chan struct{})
	go func() { defer close(ended); sending.Wait() }()
	kills := 0
	for ; kills < 6; kills++ {
		select {
		case <-ended:
		case <-time.After(400 * time.Millisecond):
			c.killAndRestart(kills%3, 50*time.Millisecond)
			continue
		}
		break
	}
	<-ended
	if t.Failed() {
		return
	}
	c.wantDelivered(uploads...)
	for _, u := range uploads {
		if err := u.verify(); err != nil {
			t.Error(err)
		}
	}
	fmt.Printf("upload tasks on three nodes: %d kills\n", kills)
}
