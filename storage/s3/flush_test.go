package s3

import (
	"io"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// A flush only adds one fragment: no fragment is read back, and parts are uploaded whole.
func TestF20AFlushCostsOneFragment(t *testing.T) {
	n, opts := countingNode(t)
	const size = 3*goodCount + 12345
	data := storagetest.Content(20, size)
	id := mustCreate(t, n, storage.Record{ID: "flushed", Size: size})
	n.wire.reset()
	src, dst := io.Pipe()
	done := make(chan error)
	go func() {
		_, err := n.Write(t.Context(), id, storage.Chunk{Length: size, Body: src})
		done <- err
	}()
	var sent int64
	for _, until := range []int64{goodCount / 3, goodCount/3 + goodCount} {
		if _, err := dst.Write(data[sent:until]); err != nil {
			t.Fatal(err)
		}
		sent = until
		flushed := int64(0)
		for began := time.Now(); flushed < until-1; time.Sleep(time.Millisecond) {
			if time.Since(began) > 30*time.Second {
				t.Fatalf("the offset is %d, want %d", flushed, until-1)
			}
			if err := n.store.Flush(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			up, err := n.Get(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			flushed = up.Offset()
		}
		another := startNode(t, opts)
		if up, err := another.Get(t.Context(), id); err != nil || !up.Has(ranges.Of(0, until-1)) {
			t.Errorf("another node has %v, %v", up.Received, err)
		}
	}
	if _, err := dst.Write(data[sent:]); err != nil {
		t.Fatal(err)
	}
	_ = dst.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	wantFinished(t, n, id, size)
	calls := n.wire.calls()
	t.Logf("requests: %v", calls)
	if got := calls["get fragment"]; got > 0 {
		t.Errorf("%d fragments were read back", got)
	}
	if got := calls["part"]; got != 4 {
		t.Errorf("%d parts were uploaded, want 4", got)
	}
}
