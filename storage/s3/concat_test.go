package s3

import (
	"errors"
	"slices"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

func TestCopiesAreLimitedInSizeAndNumber(t *testing.T) {
	const gib, tib = 1 << 30, 1 << 40
	for _, c := range []struct {
		name          string
		sizes         []int64
		runs, longest int64 // 0 runs: impossible
	}{
		{"4 files of 256 MiB", []int64{gib / 4, gib / 4, gib / 4, gib / 4}, 4, gib / 4},
		{"a little more than one run", []int64{goodCopy + 1, goodCopy + 1}, 6, (goodCopy + 1) / 3}, // all of one length
		{"5 GiB", []int64{5 * gib}, 10, goodCopy},
		{"more runs of that size than parts", []int64{5 * tib, 4 * tib}, 9216, gib},
		{"and of twice that size", []int64{5 * tib, 5 * tib}, 5120, 2 * gib},
		{"all that parts can hold", []int64{layout.MaxSize}, layout.MaxParts, layout.MaxPart},
		{"a file and what is left over", []int64{layout.MinPart, 1}, 2, layout.MinPart},
		{"a short file before another", []int64{layout.MinPart - 1, layout.MinPart}, 0, 0},
		{"an empty file", []int64{layout.MinPart, 0}, 0, 0},
		{"nothing", nil, 0, 0},
		{"more files than parts", slices.Repeat([]int64{layout.MinPart}, layout.MaxParts+1), 0, 0},
	} {
		var files []storage.Upload
		for _, size := range c.sizes {
			files = append(files, storage.Upload{Record: storage.Record{Size: size}})
		}
		runs, ok := planCopies(files, goodCopy)
		if ok != (c.runs > 0) || ok && int64(len(runs)) != c.runs {
			t.Errorf("%s: %d runs, %v; want %d", c.name, len(runs), ok, c.runs)
			continue
		}
		if longest := wantAllOf(t, c.name, files, runs); ok && longest > c.longest {
			t.Errorf("%s: a run of %d bytes, want at most %d", c.name, longest, c.longest)
		}
	}
}

// wantAllOf checks that runs cover the files, in order, with ranges that may be parts, and
// returns the length of the longest.
func wantAllOf(t *testing.T, name string, files []storage.Upload, runs []copyRange) (longest int64) {
	t.Helper()
	for i, r := range runs {
		if r.Start == 0 && i > 0 {
			files = files[1:]
		}
		if next := i + 1; next < len(runs) && (r.Len() < layout.MinPart || runs[next].Start != r.End%files[0].Size) || next == len(runs) && r.End != files[0].Size {
			t.Errorf("%s: run %d is %v", name, i, r.Range)
		}
		longest = max(longest, r.Len())
	}
	return longest
}

// joined creates an upload from two others, each of which S3 has to copy with two requests,
// and returns it before the concatenation.
func joined(t *testing.T, n *node) *phone {
	t.Helper()
	whole := &phone{t: t, node: n}
	var ids []string
	for i, size := range []int64{2*layout.MinPart + 1_000_003, 2*layout.MinPart + 77} {
		part := &phone{t: t, node: n, data: storagetest.Content(uint64(i), size)}
		part.create(storage.Record{Size: size, Partial: true})
		part.send(ranges.Of(0, size))
		ids, whole.data = append(ids, part.id), append(whole.data, part.data...)
	}
	whole.create(storage.Record{Size: int64(len(whole.data)), Parts: ids})
	n.wire.reset()
	return whole
}

func TestAFileIsConcatenatedFromRangesOfOthers(t *testing.T) {
	opts := bucket(t)
	opts.copy = 2 * layout.MinPart
	n := startNode(t, opts)
	c := joined(t, n)
	if up, err := n.Concat(t.Context(), c.id); err != nil || !up.Finished {
		t.Errorf("concatenate: finished %v, %v", up.Finished, err)
	}
	if calls := n.wire.calls(); calls["copy"] != 4 || calls["part"] > 0 {
		t.Errorf("requests: %v", calls)
	}
	c.wantFile(startNode(t, opts))
}

// If S3 cannot copy, or not within responseTimeout, a retry would not help: the data is
// copied through this process.
func TestFilesAreConcatenatedIfS3FailsToCopy(t *testing.T) {
	opts := bucket(t)
	opts.copy = 2 * layout.MinPart
	for _, f := range []fault{{"copy", 1, fails}, {"copy", 4, fails}, {"copy", 2, doneButFail}} {
		n := startNode(t, opts)
		c := joined(t, n)
		n.wire.inject(f)
		if up, err := n.Concat(t.Context(), c.id); err != nil || !up.Finished {
			t.Errorf("%s %d %s: finished %v, %v", f.op, f.nth, f.what, up.Finished, err)
		}
		c.wantFile(startNode(t, opts))
		if _, multiparts := leftIn(t, n.store); len(multiparts) > 0 {
			t.Errorf("%s %d %s: multipart uploads are left: %v", f.op, f.nth, f.what, multiparts)
		}
	}
}

// A foreign object under the file's key is a permanent error.
func TestAConcatenationDoesNotReplaceAForeignObject(t *testing.T) {
	n := startNode(t, bucket(t))
	c := joined(t, n)
	up, err := n.store.Load(t.Context(), c.id)
	if err != nil {
		t.Fatal(err)
	}
	foreign := n.store.fileKey(up.Record)
	if err := n.store.client.Put(t.Context(), api.JSONObject(foreign, []byte("of the app"))); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Concat(t.Context(), c.id); !errors.Is(err, storage.ErrKeyTaken) || storage.Transient(err) {
		t.Errorf("concat: %v, want ErrKeyTaken", err)
	}
	if text, err := n.store.client.Get(t.Context(), foreign); err != nil || string(text) != "of the app" {
		t.Errorf("the object of the app: %q, %v", text, err)
	}
	if _, multiparts := leftIn(t, n.store); len(multiparts) > 0 {
		t.Errorf("multipart uploads are left: %v", multiparts)
	}
}
