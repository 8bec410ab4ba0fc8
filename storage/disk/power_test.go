package disk

import (
	"syscall"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// The suite of stores, with a power loss after each step, and on copies of the disk after
// each acknowledgement and each change.
func TestStoreConformanceAcrossPowerLosses(t *testing.T) {
	key := func(id string) string { return "videos/" + id[:1] + "/" + id + " (1).mp4" }
	for name, c := range map[string]struct {
		key   func(string) string
		links error
	}{
		"ids as names":               {nil, nil},
		"keys of their own":          {key, nil},
		"keys on other file systems": {key, syscall.EXDEV},
	} {
		t.Run(name, func(t *testing.T) {
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
