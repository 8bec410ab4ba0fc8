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
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// Other applications may put objects into the bucket at any time.
func TestWhatHasComeToLieWhereTheFileShouldIsLeftAlone(t *testing.T) {
	for name, size := range map[string]int64{"one part": 1000, "three parts": threeCells} {
		for _, key := range []string{"", "videos/report.mp4"} {
			t.Run(name+" "+key, func(t *testing.T) {
				n := startNode(t, bucket(t))
				up, err := n.Create(t.Context(), storage.Record{ID: "report", Key: key, Size: size})
				if err != nil {
					t.Fatal(err)
				}
				foreign := n.store.fileKey(up.Record)
				if _, err := n.Write(t.Context(), up.ID, storage.Chunk{Length: size / 2, Body: zeroes(size / 2)}); err != nil {
					t.Fatal(err)
				}
				if err := n.store.client.Put(t.Context(), api.JSONObject(foreign, []byte("of the app"))); err != nil {
					t.Fatal(err)
				}
				if _, err := n.Write(t.Context(), up.ID, storage.Chunk{Offset: size / 2, Length: size - size/2, Body: zeroes(size - size/2)}); !errors.Is(err, storage.ErrKeyTaken) || storage.Transient(err) {
					t.Errorf("write of the last bytes: %v, want ErrKeyTaken", err)
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

// A creation that is killed between its reservation and its record leaves the reservation
// behind; the end of an upload may, too.
func TestReservationsWithoutAnUploadAreRemoved(t *testing.T) {
	n := startNode(t, bucket(t))
	live := mustCreate(t, n, storage.Record{Key: "videos/live.mp4", Size: 1000})
	mustCreate(t, n, storage.Record{ID: "0", Key: "listed-after-it", Size: 1000})
	for _, key := range []string{"videos/one.mp4", "one"} {
		for _, id := range []string{"00", "of-none", "zz"} {
			if err := n.store.client.Put(t.Context(), api.JSONObject(n.store.claimKey(key, id), nil)); err != nil {
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
		t.Errorf("left: %v, want the records and reservations of live uploads: %v", keys, want)
	}
}

// An orphaned multipart upload is recognized as holdfast's by its key.
func TestOrphanedMultipartUploadsAreAbortedForEveryKindOfKey(t *testing.T) {
	for _, key := range []string{"", "it.mp4", "videos/2026/it.mp4"} {
		for _, end := range []int64{0, layout.MinPart, threeCells} {
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
			if _, err := n.store.client.Begin(t.Context(), o); err != nil {
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

// Reservations of live uploads cost Clean no extra requests.
func TestCleanFindsLiveReservationsInOneListing(t *testing.T) {
	n := startNode(t, bucket(t))
	for i := range 20 {
		mustCreate(t, n, storage.Record{Key: fmt.Sprintf("videos/%d.mp4", i), Size: 1000})
	}
	n.wire.reset()
	if err := n.store.Clean(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	wantRequests(t, n, "clean with 20 live uploads with keys", 2)
}

func TestADeliveredUploadReservesNoKey(t *testing.T) {
	n := startNode(t, bucket(t))
	up, err := n.Create(t.Context(), storage.Record{ID: "it", Key: "videos/it.mp4", Size: 1000})
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, n, up.ID, ranges.Of(0, 1000))
	wantFinished(t, n, up.ID, 1000)
	wantOnly(t, n.store, n.store.doneKey(up.ID), n.store.fileKey(up.Record))
}

// A client retries a failed creation with another id and the same key.
func TestAnAbortedCreationDoesNotBlockTheNext(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	ctx, cancel := context.WithCancel(t.Context())
	n.wire.before = func(op string, _ int) {
		if op == "put record" {
			cancel()
		}
	}
	if _, err := n.Create(ctx, storage.Record{Key: "videos/it.mp4", Size: 1000}); !storage.Transient(err) {
		t.Errorf("create, then disconnect: %v, want a transient error", err)
	}
	n.wire.before = nil
	mustCreate(t, n, storage.Record{Key: "videos/it.mp4", Size: 1000})
}

// Killed nodes leave reservations behind. These count for reservationTTL, because the upload
// may be in the middle of its creation, and not after that.
func TestAReservationWithoutAnUploadExpires(t *testing.T) {
	for name, leave := range map[string]func(t *testing.T, n *node){
		"partly created": func(*testing.T, *node) {},
		"partly deleted": func(t *testing.T, n *node) {
			if err := n.store.client.Put(t.Context(), api.JSONObject(n.store.liveKey("other", "gone"), []byte("{}"))); err != nil {
				t.Fatal(err)
			}
		},
	} {
		for _, rec := range []storage.Record{{Key: "videos/it.mp4", Size: 1000}, {Key: "it", Size: 1000}, {ID: "it", Size: 1000}} {
			t.Run(name+" "+rec.Key, func(t *testing.T) {
				opts := bucket(t)
				n := startNode(t, opts)
				reserved := n.store.claimKey(cmp.Or(rec.Key, rec.ID), "other")
				if err := n.store.client.Put(t.Context(), api.JSONObject(reserved, nil)); err != nil {
					t.Fatal(err)
				}
				leave(t, n)
				if _, err := n.Create(t.Context(), rec); !errors.Is(err, errReserved) || !storage.Transient(err) {
					t.Errorf("create at once: %v, want a transient error", err)
				}
				opts.reservationTTL = -time.Minute // so the reservation has expired
				mustCreate(t, startNode(t, opts), rec)
				if _, err := n.store.client.Head(t.Context(), reserved); !errors.Is(err, api.ErrMissing) {
					t.Errorf("the expired reservation: %v, want errMissing", err)
				}
			})
		}
	}
}

// Of two clients that concurrently create uploads with one key, one succeeds and the other gets
// ErrKeyTaken. Neither may fail permanently while no upload has the key.
func TestExactlyOneConcurrentCreationWithAKeySucceeds(t *testing.T) {
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
					time.Sleep(time.Duration(1+i) * 10 * time.Millisecond) // as a client backs off
					continue
				default:
					t.Errorf("create: %v", err)
				}
				return
			}
		})
		if made.Load() != 1 || taken.Load() != 1 {
			t.Errorf("%d created, %d rejected; want one each", made.Load(), taken.Load())
		}
	}
}
