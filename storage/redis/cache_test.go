package redis

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// inParts returns an upload to S3 with all parts but the first stored, in slots of the given
// size in bytes.
func inParts(n int, slot int64) storage.Upload {
	up := storage.Upload{ModifiedAt: time.Now(), Record: storage.Record{
		ID: storage.NewID(), Size: int64(n) * slot, Created: time.Now(),
		Metadata: map[string]string{"filename": "IMG_2041.MOV", "filetype": "video/quicktime"}}}
	up.Add(storage.Extent{Name: "layout", Meta: fmt.Sprintf(`{"uploadId":"%0128d","cell":%d}`, 1, slot)})
	for i := 1; i < n; i++ {
		up.Add(part(i, slot))
	}
	return up
}

func part(i int, slot int64) storage.Extent {
	return storage.Extent{Range: ranges.Of(int64(i)*slot, slot), Name: fmt.Sprint("p", i+1), Meta: fmt.Sprintf(`"%032x";%s`, i, "AAAAAA==")}
}

func TestCachedUploadMemoryIsBounded(t *testing.T) {
	const mib = 1 << 20
	s := servers.Redis(t)
	c := admin(t, s)
	n := newNode(t, Options{URL: s.URL("redis")})
	for _, size := range []struct {
		parts      int
		slot, most int64
	}{{41, 25 * mib, 16 << 10}, {10_000, 512 * mib, 4 * mib}} {
		up := inParts(size.parts, size.slot)
		n.put(t, up)
		bytes := c.Do(t.Context(), "MEMORY", "USAGE", n.key(up.ID, "state"), "SAMPLES", 0).Val().(int64)
		t.Logf("an upload of %d parts takes %d bytes of Redis, %d for each part", size.parts, bytes, bytes/int64(size.parts))
		if bytes > size.most {
			t.Errorf("%d bytes, want at most %d", bytes, size.most)
		}
	}
}

// Ten times the parts must cost about ten times the CPU time, not a hundred times.
func TestCPUTimeGrowsLinearlyWithUpload(t *testing.T) {
	const slot, most = 5 << 20, 40
	s := servers.Redis(t)
	c := admin(t, s)
	n := newNode(t, Options{URL: s.URL("redis")})
	parts := func(parts int) storage.Upload { return inParts(parts, slot) }
	scattered := func(parts int) storage.Upload { // by a client that skips every other byte
		up := upload(storage.NewID())
		for i := range int64(parts) {
			up.Received.Add(ranges.Of(2*i, 1))
		}
		return up
	}
	for name, kind := range map[string]struct {
		make func(int) storage.Upload
		last storage.Extent
	}{"in parts": {parts, part(0, slot)}, "scattered": {scattered, storage.Extent{Range: ranges.Of(1, 1)}}} {
		var work [2]time.Duration
		for i, count := range []int{1000, 10_000} {
			for range 3 {
				up := kind.make(count)
				before := cpu(t, c)
				n.carry(t, up, kind.last)
				if took := cpu(t, c) - before; work[i] == 0 || took < work[i] {
					work[i] = took
				}
			}
		}
		t.Logf("%s: put twice, add and get: 1,000 take %v, 10,000 take %v of processor time", name, work[0], work[1])
		if work[1] > most*work[0] {
			t.Errorf("%s: ten times as many take %v times as long", name, work[1]/work[0])
		}
	}
}

// carry stores an upload twice, appends an extent, and checks the result.
func (n *node) carry(t *testing.T, up storage.Upload, p storage.Extent) {
	t.Helper()
	n.put(t, up)
	n.put(t, up)
	added, err := n.cache.Append(t.Context(), up.ID, p)
	if err != nil {
		t.Errorf("add: %v", err)
	}
	up.Add(p)
	known, err := n.cache.Get(t.Context(), up.ID)
	if err != nil || !known.Received.Equal(up.Received) || !known.Extents.Equal(up.Extents) || !added.Received.Equal(up.Received) {
		t.Errorf("get: %v, %d ranges and %d extents; want %d and %d", err, known.Received.Count(), known.Extents.Len(), up.Received.Count(), up.Extents.Len())
	}
}

// cpu returns the CPU time of this process and the server, which unlike wall time does not
// depend on the load of the machine.
func cpu(t *testing.T, c *redis.Client) (sum time.Duration) {
	t.Helper()
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		t.Fatal(err)
	}
	sum = time.Duration(own.Utime.Nano() + own.Stime.Nano())
	for line := range strings.Lines(c.Info(t.Context(), "cpu").Val()) {
		var seconds float64
		if name, value, _ := strings.Cut(line, ":"); name == "used_cpu_user" || name == "used_cpu_sys" {
			_, _ = fmt.Sscan(value, &seconds)
		}
		sum += time.Duration(seconds * float64(time.Second))
	}
	return sum
}

func TestOffsetsAreExact(t *testing.T) {
	n := newNode(t, Options{URL: servers.Redis(t).URL("redis")})
	const far = 1 << 61
	up := upload(storage.NewID())
	up.Size = ranges.Max
	for i := range int64(4) {
		up.Add(storage.Extent{Range: ranges.Of(far+10*i, 10), Name: fmt.Sprint(i)})
	}
	n.put(t, up)
	p := storage.Extent{Range: ranges.Of(far+1, 29), Name: "covers 1 and 2"}
	up.Add(p)
	known, err := n.cache.Append(t.Context(), up.ID, p)
	if err != nil || !known.Extents.Equal(up.Extents) || !known.Received.Equal(up.Received) {
		t.Errorf("add: %v, extents %v, want %v", err, known.Extents, up.Extents)
	}
}

// The shared cache must return the same as a MemoryCache, whatever was loaded and appended
// in any order.
func TestCacheMatchesMemoryCache(t *testing.T) {
	nodes := newNodes(t, 2, Options{URL: servers.Redis(t).URL("redis")})
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		local := new(storage.MemoryCache)
		up := upload(storage.NewID())
		up.Size = storage.Unknown
		stored := up.Clone() // the upload in the store
		loaded := []storage.Upload{up}
		for i := range 60 {
			x := nodes[rnd.IntN(2)].cache
			var got, want storage.Upload
			var err error
			if i == 0 || rnd.IntN(5) == 0 {
				old := loaded[max(0, len(loaded)-1-rnd.IntN(8))]
				begun, _ := local.Generation(t.Context(), old.ID)
				want, _ = local.Store(t.Context(), begun, old)
				if begun, err = x.Generation(t.Context(), old.ID); err == nil {
					got, err = x.Store(t.Context(), begun, old)
				}
			} else {
				p := randomExtent(rnd, stored)
				stored.Add(p)
				want, _ = local.Append(t.Context(), up.ID, p)
				got, err = x.Append(t.Context(), up.ID, p)
			}
			if rnd.IntN(20) == 0 {
				stored.Size = 1000
			}
			loaded = append(loaded, stored.Clone())
			if err != nil || got.Size != want.Size || !got.Received.Equal(want.Received) || !got.Extents.Equal(want.Extents) {
				t.Fatalf("seed %d, step %d: %v\n%v\nwant\n%v", seed, i, err, got, want)
			}
		}
	}
}

// randomExtent returns a part, a fragment of one that is not stored yet, an empty extent, or
// a range without a name.
func randomExtent(rnd *rand.Rand, stored storage.Upload) storage.Extent {
	const slot = 100
	n := rnd.Int64N(10)
	whole := ranges.Of(n*slot, slot)
	start := n*slot + rnd.Int64N(slot)
	r := ranges.Of(start, rnd.Int64N(n*slot+slot-start)+1)
	tag := fmt.Sprint(rnd.IntN(1000))
	switch rnd.IntN(6) {
	case 0:
		return storage.Extent{Range: whole, Name: fmt.Sprint("p", n), Meta: tag}
	case 1:
		return storage.Extent{Name: fmt.Sprint("fact ", n), Meta: tag}
	case 2:
		return storage.Extent{Range: r}
	}
	if !stored.Received.Within(r).Empty() {
		return storage.Extent{Range: whole, Name: fmt.Sprint("p", n), Meta: tag}
	}
	return storage.Extent{Range: r, Name: "f" + r.String(), Meta: tag}
}

func TestEveryKeyExpires(t *testing.T) {
	s := servers.Redis(t)
	c := admin(t, s)
	nodes := newNodes(t, 2, Options{URL: s.URL("redis"), LockTTL: rarePolls})
	n := nodes[0]
	unlock, asked := n.lock(t, "it")
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		unlock, _ := nodes[1].lock(t, "it")
		unlock()
	}()
	defer func() { unlock(); <-waited }()
	wantAsked(t, 30*time.Second, asked) // so that the "wanted" key exists
	n.put(t, upload("it"))
	n.add(t, "it", 0, 10)
	if err := n.cache.Invalidate(t.Context(), "over"); err != nil {
		t.Errorf("invalidate: %v", err)
	}
	if err := n.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	all := keys(t, c)
	if len(all) != 4 {
		t.Errorf("keys %q, want one of each kind", all)
	}
	for _, key := range append(all, n.key("", "probe")) {
		if ttl := c.PTTL(t.Context(), key).Val(); ttl <= 0 || ttl > 24*time.Hour {
			t.Errorf("%s expires in %v", key, ttl)
		}
	}
}

func TestInvalidatedUploadIsCachedAgainAfterTTL(t *testing.T) {
	s := servers.Redis(t)
	n := newNode(t, Options{URL: s.URL("redis")})
	if err := n.cache.Invalidate(t.Context(), "it"); err != nil {
		t.Errorf("invalidate: %v", err)
	}
	if _, err := n.tryPut(t, upload("it")); err == nil {
		t.Error("store right after invalidate: no error")
	}
	if ttl := admin(t, s).PTTL(t.Context(), n.key("it", "over")).Val(); ttl < invalidTTL/2 || ttl > invalidTTL {
		t.Errorf("not cached for another %v, want %v", ttl, invalidTTL)
	}
	n.log.want(t, 0, 0)
}

// A Redis restored from a snapshot, or a promoted replica, lacks the latest updates.
func TestStateFromBeforeARedisRestartIsIgnored(t *testing.T) {
	t.Parallel()
	s := servers.Redis(t)
	c := admin(t, s)
	n := newNode(t, Options{URL: s.URL("redis")})
	restore := func() {
		n.put(t, upload("it"))
		snapshot := c.Dump(t.Context(), n.key("it", "state")).Val()
		n.add(t, "it", 0, 10)
		n.wantOffset(t, "it", 10)
		s.Kill()
		s.Start()
		if err := c.Restore(t.Context(), n.key("it", "state"), time.Hour, snapshot).Err(); err != nil {
			t.Errorf("restore: %v", err)
		}
		n.wantUsed(t)
	}
	restore()
	n.wantOffset(t, "it", -1)
	restore()
	if _, err := n.cache.Append(t.Context(), "it", storage.Extent{Range: ranges.Of(0, 1)}); err == nil {
		t.Error("append to restored state: no error")
	}
	restore()
	n.put(t, upload("it"))
	n.add(t, "it", 20, 10)
	n.wantOffset(t, "it", 0)
	n.add(t, "it", 0, 20)
	n.wantOffset(t, "it", 30)
}
