package disk

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// Checksums must be right whatever ranges were added, and none of adjacent ranges may be
// lost.
func TestRangeChecksumsAreCombinedInAnyOrder(t *testing.T) {
	data := storagetest.Content(1, 10_000)
	sumOf := func(r ranges.Range) crc32c.Sum { return crc32c.Of(data[r.Start:r.End]) }
	for round := range 200 {
		var s sums
		chunks := storagetest.Chunks(10_000, int64(1+rand.IntN(3000)))
		rand.Shuffle(len(chunks), func(i, j int) { chunks[i], chunks[j] = chunks[j], chunks[i] })
		for _, r := range chunks {
			s.add(r, sumOf(r))
			if round%2 == 1 {
				other := ranges.Of(rand.Int64N(9000), rand.Int64N(1000))
				s.add(other, sumOf(other))
			}
			last := int64(-1)
			for known := range s.all() {
				if known.crc != sumOf(known.Range) || last >= known.Start {
					t.Fatalf("wrong checksum of %v: %v", known.Range, slices.Collect(s.all()))
				}
				last = known.End
			}
		}
		if crc, ok := s.of(10_000); round%2 == 0 && (!ok || crc != crc32c.Of(data)) {
			t.Fatalf("whole range: %v, %v: %v", crc, ok, slices.Collect(s.all()))
		}
		read := 0
		if err := s.complete(7_000, func(r ranges.Range) (crc32c.Sum, error) { read++; return sumOf(r), nil }); err != nil {
			t.Fatal(err)
		}
		if crc, ok := s.of(7_000); !ok || crc != crc32c.Of(data[:7_000]) {
			t.Fatalf("first 7,000 bytes, after reading %d ranges: %v, %v", read, crc, ok)
		}
	}
}

// rewriteJournal changes the journal of a live upload without writers.
func rewriteJournal(t *testing.T, s *Store, id string, change func(text string) string) {
	t.Helper()
	text, err := os.ReadFile(s.livePath(id))
	if err == nil {
		err = os.WriteFile(s.livePath(id), []byte(change(string(text))), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.journals.drop(id)
}

// withoutChecksums returns a journal as older versions wrote it, for every second range.
func withoutChecksums(text string) string {
	var out strings.Builder
	for i, line := range strings.SplitAfter(text, "\n") {
		var r ranges.Range
		if n, _ := fmt.Sscanf(line, "range %d %d", &r.Start, &r.End); n == 2 && i%2 == 0 {
			line = string(withChecksum(fmt.Appendf(nil, "range %d %d", r.Start, r.End)))
		}
		out.WriteString(line)
	}
	return out.String()
}

func TestChecksumOfUploadsWithoutRangeChecksumsAndOfTruncatedOnes(t *testing.T) {
	s, err := Open(t.TempDir(), Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	data := storagetest.Content(1, 300_000)
	write := func(id string) {
		if err := s.Create(t.Context(), storage.Record{ID: id, Size: storage.Unknown}); err != nil {
			t.Fatal(err)
		}
		for _, r := range storagetest.Chunks(300_000, 50_000) {
			c := storage.Chunk{Offset: r.Start, Length: r.Len(), Body: bytes.NewReader(data[r.Start:r.End])}
			if err := s.Write(t.Context(), storage.Upload{Record: storage.Record{ID: id}}, c, func(storage.Extent) storage.Upload { return storage.Upload{} }); err != nil {
				t.Fatal(err)
			}
		}
	}
	finish := func(id string, size int64) {
		if err := s.SetSize(t.Context(), id, size); err != nil {
			t.Fatal(err)
		}
		done, err := s.Finish(t.Context(), storage.Upload{Record: storage.Record{ID: id}})
		loaded, loadErr := s.Load(t.Context(), id)
		for what, up := range map[string]storage.Upload{"finished": done, "loaded": loaded} {
			if up.CRC32C == nil || *up.CRC32C != crc32c.Of(data[:size]) {
				t.Errorf("%s, %s: %v, want %v (%v, %v)", id, what, up.CRC32C, crc32c.Of(data[:size]), err, loadErr)
			}
		}
	}
	write("old")
	rewriteJournal(t, s, "old", withoutChecksums)
	finish("old", 300_000)
	write("late")
	finish("late", 120_000)
	write("compacted")
	rewriteJournal(t, s, "compacted", func(text string) string {
		j, _ := parseJournal([]byte(withoutChecksums(text)))
		compact, err := j.compact()
		if again, _ := parseJournal(compact); err != nil || again.sums.m.Len() != j.sums.m.Len() || !again.ranges.Equal(j.ranges) {
			t.Errorf("%v became %v, %v", j, again, err)
		}
		return string(compact)
	})
	finish("compacted", 300_000)
	for _, id := range []string{"old", "late", "compacted"} {
		s.journals.drop(id)
		if up, err := s.Load(t.Context(), id); err != nil || up.CRC32C == nil || *up.CRC32C != crc32c.Of(data[:up.Size]) {
			t.Errorf("%s, from its journal: %v, %v", id, up.CRC32C, err)
		}
	}
}
