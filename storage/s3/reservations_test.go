package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// Others may put objects into the bucket at any time.
func TestWhatHasComeToLieWhereTheFileShouldIsLeftAlone(t *testing.T) {
	for name, size := range map[string]int64{"one cell": 1000, "three cells": threeCells} {
		for _, key := range []string{"", "videos/report.mp4"} {
			t.Run(name+" "+key, func(t *testing.T) {
				n := startNode(t, bucket(t))
				up, err := n.Create(t.Context(), storage.Record{ID: "report", Key: key, Size: size})
				if err != nil {
					t.Fatal(err)
				}
				foreign := n.store.fileKey(up.Record)
				if _, err := n.Write(t.Context(), up.ID, 0, zeroes(size/2)); err != nil {
					t.Fatal(err)
				}
				if err := n.store.client.put(t.Context(), jsonObject(foreign, []byte("of the app"))); err != nil {
					t.Fatal(err)
				}
				if _, err := n.Write(t.Context(), up.ID, size/2, zeroes(size-size/2)); !errors.Is(err, storage.ErrKeyTaken) || storage.Transient(err) {
					t.Errorf("the last bytes: %v, want ErrKeyTaken", err)
				}
				if err := n.Delete(t.Context(), up.ID); err != nil {
					t.Fatal(err)
				}
				n.sweepLater(t)
				wantOnly(t, n.store, foreign)
			})
		}
	}
}

// A creation that is killed between its claim and its record leaves a claim, and one
// whose upload is over may.
func TestClaimsOfNoUploadAreRemoved(t *testing.T) {
	n := startNode(t, bucket(t))
	live := mustCreate(t, n, storage.Record{Key: "videos/live.mp4", Size: 1000})
	mustCreate(t, n, storage.Record{ID: "0", Key: "listed-after-it", Size: 1000})
	for _, key := range []string{"videos/one.mp4", "one"} {
		for _, id := range []string{"00", "of-nobody", "zz"} {
			if err := n.store.client.put(t.Context(), jsonObject(n.store.claimKey(key, id), nil)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := n.store.Clean(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	keys, _ := leftIn(t, n.store)
	want := []string{n.store.claimKey("videos/live.mp4", live), n.store.claimKey("listed-after-it", "0"), n.store.liveKey(live, "record"), n.store.liveKey("0", "record")}
	if slices.Sort(want); !slices.Equal(keys, want) {
		t.Errorf("left: %v, want the records and claims of the live ones: %v", keys, want)
	}
}

// A multipart upload of which no layout speaks can be told to be ours by what its key is.
func TestOrphanedMultipartUploadsAreAbortedWhateverTheKey(t *testing.T) {
	for _, key := range []string{"", "it.mp4", "videos/2026/it.mp4"} {
		for _, end := range []int64{0, minPart, threeCells} {
			n := startNode(t, bucket(t))
			c := &phone{t: t, node: n, data: storagetest.Content(1, threeCells)}
			c.create(storage.Record{ID: "it", Key: key, Size: threeCells})
			if end > 0 {
				c.send(ranges.Range{End: end})
			}
			up, err := n.Get(t.Context(), "it")
			if err != nil {
				t.Fatal(err)
			}
			o, err := n.store.file(up.Record)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := n.store.client.begin(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			if err := n.store.Clean(t.Context(), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			want := 0
			if 0 < end && end < threeCells {
				want = 1
			}
			if _, left := leftIn(t, n.store); len(left) != want {
				t.Errorf("key %q, after %d bytes: %d multipart uploads are left, want %d", key, end, len(left), want)
			}
		}
	}
}

// What live uploads claim costs cleaning no request.
func TestCleaningFindsLiveClaimsInItsOneListing(t *testing.T) {
	n := startNode(t, bucket(t))
	for i := range 20 {
		mustCreate(t, n, storage.Record{Key: fmt.Sprintf("videos/%d.mp4", i), Size: 1000})
	}
	n.wire.reset()
	if err := n.store.Clean(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	wantRequests(t, n, "cleaning beside 20 live uploads with keys", 2)
}

func TestAToldUploadClaimsNothing(t *testing.T) {
	n := startNode(t, bucket(t))
	up, err := n.Create(t.Context(), storage.Record{ID: "it", Key: "videos/it.mp4", Size: 1000})
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, n, up.ID, ranges.Of(0, 1000))
	wantFinished(t, n, up.ID, 1000)
	wantOnly(t, n.store, n.store.doneKey(up.ID), n.store.fileKey(up.Record))
}

// A client whose creation failed comes again, with another id and the same key.
func TestACreationThatBrokeOffIsNotInTheWayOfTheNext(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	ctx, cancel := context.WithCancel(t.Context())
	n.wire.before = func(op string, _ int) {
		if op == "put record" {
			cancel()
		}
	}
	if _, err := n.Create(ctx, storage.Record{Key: "videos/it.mp4", Size: 1000}); !storage.Transient(err) {
		t.Errorf("create, and go away: %v, want an error that may pass", err)
	}
	n.wire.before = nil
	mustCreate(t, n, storage.Record{Key: "videos/it.mp4", Size: 1000})
}

// Nodes that are killed leave claims: these count for a while, for it may not be so, and
// then no more.
func TestAClaimWithoutAnUploadLapses(t *testing.T) {
	for name, leave := range map[string]func(t *testing.T, n *node, claim string){
		"created by halves": func(*testing.T, *node, string) {},
		"deleted by halves": func(t *testing.T, n *node, _ string) {
			if err := n.store.client.put(t.Context(), jsonObject(n.store.liveKey("other", "gone"), []byte("{}"))); err != nil {
				t.Fatal(err)
			}
		},
	} {
		for _, rec := range []storage.Record{{Key: "videos/it.mp4", Size: 1000}, {Key: "it", Size: 1000}, {ID: "it", Size: 1000}} {
			t.Run(name+" "+rec.Key, func(t *testing.T) {
				opts := bucket(t)
				n := startNode(t, opts)
				claim := n.store.claimKey(cmp.Or(rec.Key, rec.ID), "other")
				if err := n.store.client.put(t.Context(), jsonObject(claim, nil)); err != nil {
					t.Fatal(err)
				}
				leave(t, n, claim)
				if _, err := n.Create(t.Context(), rec); !errors.Is(err, errReserved) || !storage.Transient(err) {
					t.Errorf("create at once: %v, want an error that may pass", err)
				}
				opts.reservationTTL = -time.Minute // so it has lapsed
				mustCreate(t, startNode(t, opts), rec)
				if _, err := n.store.client.head(t.Context(), claim); !errors.Is(err, errMissing) {
					t.Errorf("the claim that lapsed: %v, want errMissing", err)
				}
			})
		}
	}
}

// Of two clients at once that want one key none is refused for good while no upload has it.
func TestCreationsAtOnceWithOneKeyEndWithOne(t *testing.T) {
	opts := bucket(t)
	nodes := []*node{startNode(t, opts), startNode(t, opts)}
	for range 10 {
		rec := storage.Record{Key: "videos/" + storage.NewID(), Size: 1000}
		var made, taken atomic.Int32
		parallel(2, 2, func(i int) {
			for try := 0; ; try++ {
				_, err := nodes[i].Create(t.Context(), rec)
				switch {
				case err == nil:
					made.Add(1)
				case errors.Is(err, storage.ErrKeyTaken):
					taken.Add(1)
				case storage.Transient(err) && try < 50:
					time.Sleep(time.Duration(1+i) * 10 * time.Millisecond) // as clients that are told to come back
					continue
				default:
					t.Errorf("create: %v", err)
				}
				return
			}
		})
		if made.Load() != 1 || taken.Load() != 1 {
			t.Errorf("%d were created, %d refused; want one each", made.Load(), taken.Load())
		}
	}
}
