package ranges

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// A Map agrees with a plain map, and its copies do not change with it.
func FuzzMapAgreesWithAPlainMap(f *testing.F) {
	f.Add([]byte{0, 0, 10, 1, 0, 5, 5, 1, 1, 0, 10, 1})
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 8 {
		seed := make([]byte, 200)
		for i := range seed {
			seed[i] = byte(rnd.Uint32())
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		var m, snapshot Map[int]
		plain := map[Key]int{}
		var plainSnapshot map[Key]int
		for i := 0; len(ops) >= 4; i, ops = i+1, ops[4:] {
			k := Key{Of(int64(ops[1]), int64(ops[2]%32)), fmt.Sprint(ops[3] % 3)}
			if ops[0]%4 == 0 {
				m.Delete(k)
				delete(plain, k)
			} else {
				m.Put(k, i)
				plain[k] = i
			}
			if ops[0]%7 == 0 {
				snapshot, plainSnapshot = m, maps.Clone(plain)
			}
			sameMap(t, m, plain, k.Range)
		}
		sameMap(t, snapshot, plainSnapshot, Of(0, 300))
	})
}

func sameMap(t *testing.T, m Map[int], plain map[Key]int, r Range) {
	t.Helper()
	if got := maps.Collect(m.All()); m.Len() != len(plain) || !maps.Equal(got, plain) {
		t.Fatalf("%d keys: %v, want %v", m.Len(), got, plain)
	}
	var overlapping []Key
	for k := range m.Overlapping(r) {
		overlapping = append(overlapping, k)
	}
	var want []Key
	for k, v := range plain {
		if got, ok := m.Get(k); !ok || got != v {
			t.Fatalf("get %v: %v, %v, want %v", k, got, ok, v)
		}
		if !k.Intersect(r).Empty() {
			want = append(want, k)
		}
	}
	slices.SortFunc(want, Key.compare)
	if !slices.Equal(overlapping, want) {
		t.Fatalf("%v overlaps %v, want %v", r, overlapping, want)
	}
}

// F31: what a change or a query allocates must not grow with what is there.
func TestF31WorkOnASetDoesNotGrowWithItsRanges(t *testing.T) {
	const sets = 10 // the depth of a tree depends on chance
	island := func(i int64) Range { return Of(2*i, 1) }
	for name, work := range map[string]func(s Set, i int64){
		"add":     func(s Set, i int64) { s.Add(Range{2*i + 1, 2*i + 2}) },
		"remove":  func(s Set, i int64) { s.Remove(island(i)) },
		"within":  func(s Set, i int64) { s.Within(Of(2*i, 3)) },
		"missing": func(s Set, i int64) { s.Missing(Of(2*i, 3)) },
		"query": func(s Set, i int64) {
			_ = s.Contains(island(i)) && s.Count() > 0 && s.Prefix() > 0 && s.End() > 0 && s.Bytes() > 0
		},
		"clone": func(s Set, i int64) { c := s.Clone(); c.Add(island(i)) },
	} {
		var allocations [2]float64
		for i, count := range []int64{100, 10_000} {
			for range sets {
				var s Set
				for n := range count {
					s.Add(island(n))
				}
				rnd := rand.New(rand.NewPCG(1, 2))
				allocations[i] += testing.AllocsPerRun(100, func() { work(s, rnd.Int64N(count)) }) / sets
			}
		}
		if allocations[1] > 3*allocations[0] {
			t.Errorf("%s: %v allocations with 10,000 ranges, %v with 100", name, allocations[1], allocations[0])
		}
	}
}
