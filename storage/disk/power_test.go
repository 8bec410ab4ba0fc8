package disk

import (
	"syscall"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// The suite of the stores, where the power goes after each step, and a copy of the disk
// loses its power after each acknowledgement and each change.
func TestDiskKeepsThePromisesOfAStoreOverPowerLosses(t *testing.T) {
	key := func(id string) string { return "videos/" + id[:1] + "/" + id + " (1).mp4" }
	for _, c := range []struct {
		name  string
		links error
		key   func(id string) string
	}{
		{"ids as names", nil, nil},
		{"keys of their own", nil, key},
		{"without hard links", syscall.EPERM, key},
	} {
		t.Run(c.name, func(t *testing.T) {
			storagetest.TestStore(t, func(t *testing.T) storagetest.Harness {
				h := powerHarness(t, c.links)
				h.Key = c.key
				return h
			})
		})
	}
}

func powerHarness(t *testing.T, links error) storagetest.Harness {
	opts := ledgerOptions{links: links, losses: []loss{nothingStays, someStays, someStays, allStays}, sparse: true}
	var now *ledger
	opened, lost := 0, 0
	return storagetest.Harness{
		Open: func() storage.Store {
			if opened++; now == nil {
				now = openLedger(t, newMemFS("/srv"), opts, nil, 1)
			} else {
				now = now.next(opts.losses[opened%len(opts.losses)])
			}
			return now
		},
		Lose: func(id string) {
			lost++
			now.loseFile(id, lost%2 == 0)
		},
		Move: func(up storage.Upload) { now.loseFile(up.ID, false) },
	}
}
