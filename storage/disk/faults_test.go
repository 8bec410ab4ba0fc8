package disk

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
)

// Any one change or sync may fail, with or without effect. The step can be repeated, and
// what is acknowledged then survives a power loss.
func TestAnyFailedOperationAndLaterPowerLossLosesNothing(t *testing.T) {
	for what, v := range map[string]verdict{
		"fails":                {err: syscall.EIO},
		"fails, but was done":  {err: syscall.EIO, done: true},
		"fails, and drops all": {err: syscall.EIO, drops: true},
	} {
		for name, life := range lives(t) {
			for _, links := range []error{nil, syscall.ENOTSUP, syscall.EXDEV} {
				t.Run(fmt.Sprintf("%s, links: %v, one %s", name, links, what), func(t *testing.T) {
					t.Parallel()
					for at := 1; !t.Failed() && life.failAt(t, links, at, v); at++ {
					}
				})
			}
		}
	}
}

// failAt makes the operation of the file system with number at fail. It returns false if
// there are fewer.
func (l life) failAt(t *testing.T, links error, at int, v verdict) bool {
	fsys, n := l.fs.clone(), 0
	store, err := openMem(fsys, links)
	if err != nil {
		t.Fatal(err)
	}
	_ = store.Close()
	fsys.fault = func(op, path string) verdict {
		if n++; n == at {
			return v
		}
		return verdict{}
	}
	opts := ledgerOptions{links: links, losses: []loss{nothingStays, someStays}, from: func() bool { return n >= at }}
	now, err := tryLedger(t, fsys, opts, uint64(at))
	if err != nil {
		now = openLedger(t, fsys, opts, nil, uint64(at))
	}
	for _, step := range l.steps {
		err := step.do(now)
		for tries := 0; err != nil && tries < 3; tries++ {
			if !storage.Transient(err) && !errors.Is(err, syscall.EIO) {
				t.Fatalf("%d fails, then %s: %v", at, step.name, err)
			}
			err = step.do(now)
		}
		if err != nil || t.Failed() {
			t.Fatalf("%d fails, then %s: %v", at, step.name, err)
		}
	}
	_ = now.next(nothingStays)
	return n >= at
}
