package s3

import (
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

// The copies of a concatenation have one length, but for the last, wherever that is possible
// without many more of them.
func TestF37CopiesHaveOneLengthIfTheyCan(t *testing.T) {
	const m = layout.MiB
	for _, c := range []struct {
		sizes []int64
		equal bool
	}{
		{[]int64{1200*m + 7}, true},
		{[]int64{50 * m, 50 * m, 50 * m, 13}, true},
		{[]int64{50 * m, 50 * m, 70 * m}, true},
		{[]int64{1000 * m, 1000 * m, 3}, true},
		{[]int64{40 * m, 60 * m, 20 * m}, true},
		{[]int64{6 * m, 5 * m, m}, false},
		{[]int64{500*m + 1, 700 * m}, true},
		{[]int64{2000*m + 1, 2000*m + 3, m}, false},
	} {
		var files []storage.Upload
		for _, n := range c.sizes {
			files = append(files, storage.Upload{Record: storage.Record{Size: n}})
		}
		copies, ok := planCopies(files, goodCopy)
		if !ok {
			t.Errorf("%v can't be copied", c.sizes)
			continue
		}
		equal := true
		for i, r := range copies {
			last := i == len(copies)-1
			equal = equal && (r.Len() == copies[0].Len() || last && r.Len() < copies[0].Len())
		}
		if equal != c.equal {
			t.Errorf("%v: equal %v: %v", c.sizes, equal, copies)
		}
	}
}
