package ranges

import (
	"math/rand/v2"
	"testing"
)

func TestRangeLengthNeverOverflows(t *testing.T) {
	for _, c := range []struct {
		r     Range
		n     int64
		empty bool
		text  string
	}{
		{Range{0, 0}, 0, true, ""},
		{Range{0, 100}, 100, false, "0-99"},
		{Range{5, 3}, 0, true, ""},
		{Range{0, Max}, Max, false, "0-9223372036854775806"},
		{Range{Max - 1, Max}, 1, false, "9223372036854775806-9223372036854775806"},
		{Range{Max, Max}, 0, true, ""},
		{Of(10, 5), 5, false, "10-14"},
		{Of(Max-2, 100), 2, false, "9223372036854775805-9223372036854775806"},
	} {
		if c.r.Len() != c.n || c.r.Empty() != c.empty || c.r.String() != c.text {
			t.Errorf("%+v: Len %d, Empty %v, String %q; want %d, %v, %q", c.r, c.r.Len(), c.r.Empty(), c.r.String(), c.n, c.empty, c.text)
		}
	}
}

func TestSetMergesOverlappingAndAdjacentRanges(t *testing.T) {
	for _, c := range []struct {
		name string
		add  []Range
		want string
	}{
		{"none", nil, ""},
		{"an empty range adds nothing", []Range{{5, 5}}, ""},
		{"apart", []Range{{10, 20}, {0, 5}}, "0-4,10-19"},
		{"touching on the right", []Range{{0, 10}, {10, 20}}, "0-19"},
		{"touching on the left", []Range{{10, 20}, {0, 10}}, "0-19"},
		{"overlapping", []Range{{0, 10}, {5, 20}}, "0-19"},
		{"contained", []Range{{0, 20}, {5, 10}}, "0-19"},
		{"containing several", []Range{{2, 4}, {6, 8}, {10, 12}, {1, 11}}, "1-11"},
		{"filling the gap", []Range{{0, 5}, {10, 15}, {5, 10}}, "0-14"},
		{"the same twice", []Range{{3, 7}, {3, 7}}, "3-6"},
		{"over one at the edge", []Range{{Max - 1, Max}, {Max - 5, Max}}, "9223372036854775802-9223372036854775806"},
		{"up to the edge", []Range{{0, 1}, {Max - 1, Max}}, "0-0,9223372036854775806-9223372036854775806"},
	} {
		if got := NewSet(c.add...).String(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestSetQueries(t *testing.T) {
	s := NewSet(Range{0, 10}, Range{20, 30}, Range{40, 50})
	for _, c := range []struct {
		r        Range
		contains bool
		within   string
		missing  string
	}{
		{Range{0, 10}, true, "0-9", ""},
		{Range{3, 3}, true, "", ""},
		{Range{5, 25}, false, "5-9,20-24", "10-19"},
		{Range{10, 20}, false, "", "10-19"},
		{Range{0, 60}, false, "0-9,20-29,40-49", "10-19,30-39,50-59"},
		{Range{22, 28}, true, "22-27", ""},
		{Range{60, 70}, false, "", "60-69"},
	} {
		if s.Contains(c.r) != c.contains || s.Within(c.r).String() != c.within || s.Missing(c.r).String() != c.missing {
			t.Errorf("%v: contains %v within %q missing %q; want %v %q %q", c.r,
				s.Contains(c.r), s.Within(c.r), s.Missing(c.r), c.contains, c.within, c.missing)
		}
	}
	if s.Prefix() != 10 || s.End() != 50 || s.Bytes() != 30 || s.Count() != 3 {
		t.Errorf("prefix %d end %d bytes %d count %d", s.Prefix(), s.End(), s.Bytes(), s.Count())
	}
	if none := new(Set).First(); s.First() != s.Ranges()[0] || !none.Empty() {
		t.Errorf("first %v; of an empty set %v", s.First(), none)
	}
	if late := NewSet(Range{1, 10}); late.Prefix() != 0 {
		t.Errorf("a set without offset 0 has the prefix %d", late.Prefix())
	}
}

func TestRemoveLeavesTheRest(t *testing.T) {
	for _, c := range []struct {
		remove Range
		want   string
	}{
		{Range{0, 0}, "0-9,20-29"},
		{Range{0, 10}, "20-29"},
		{Range{3, 6}, "0-2,6-9,20-29"},
		{Range{5, 25}, "0-4,25-29"},
		{Range{0, Max}, ""},
		{Range{10, 20}, "0-9,20-29"},
	} {
		s := NewSet(Range{0, 10}, Range{20, 30})
		s.Remove(c.remove)
		if s.String() != c.want {
			t.Errorf("without %v: %q, want %q", c.remove, s, c.want)
		}
	}
}

func TestCloneSharesNothing(t *testing.T) {
	s := NewSet(Range{0, 10}, Range{20, 30})
	c := s.Clone()
	s.Add(Range{5, 25})
	if c.String() != "0-9,20-29" {
		t.Errorf("the clone changed with its origin: %q", c)
	}
}

func TestInvalidRangePanics(t *testing.T) {
	for _, r := range []Range{{-1, 5}, {5, 4}, {-5, -3}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Add(%v) did not panic", r)
				}
			}()
			new(Set).Add(r)
		}()
	}
}

// A set of small offsets behaves like a table of booleans.
func FuzzSetAgreesWithATableOfBooleans(f *testing.F) {
	f.Add([]byte{0, 0, 10, 1, 3, 5, 0, 200, 55})
	f.Add([]byte{0, 10, 10, 0, 20, 10, 0, 0, 10, 1, 5, 20})
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		seed := make([]byte, 60)
		for i := range seed {
			seed[i] = byte(rnd.Uint32())
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		const world = 512
		var s Set
		var table [world]bool
		for ; len(ops) >= 3; ops = ops[3:] {
			r := Of(int64(ops[1]), int64(ops[2]))
			add := ops[0]%2 == 0
			if add {
				s.Add(r)
			} else {
				s.Remove(r)
			}
			for o := r.Start; o < r.End; o++ {
				table[o] = add
			}
			agree(t, s, table[:])
		}
	})
}

func agree(t *testing.T, s Set, table []bool) {
	t.Helper()
	var bytes int64
	for o, in := range table {
		if one := Of(int64(o), 1); s.Contains(one) != in || s.Missing(one).Empty() != in || s.Within(one).Empty() == in {
			t.Fatalf("offset %d: table says %v, set %v", o, in, s)
		}
		if in {
			bytes++
		}
	}
	if s.Bytes() != bytes {
		t.Fatalf("%d bytes, want %d", s.Bytes(), bytes)
	}
	last := int64(-1)
	for _, r := range s.Ranges() {
		if r.Empty() || r.Start <= last {
			t.Fatalf("%v is not sorted, disjoint and unconnected", s)
		}
		last = r.End
	}
	all := Of(0, int64(len(table)))
	if both := s.Missing(all); both.Bytes()+s.Bytes() != all.Len() || !s.Minus(both).Equal(s) {
		t.Fatalf("%v and what it lacks, %v, do not make the whole", s, both)
	}
}
