package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// damagedJournal returns a file system with an upload whose bytes are all synced, and whose
// journal has the given text.
func damagedJournal(text []byte) *memFS {
	fsys := newMemFS("/srv/data/.holdfast/live", "/srv/data/.holdfast/done", "/srv/data/.holdfast/gone")
	for name, held := range map[string][]byte{"it.log": text, "it.data": make([]byte, 2000)} {
		f, err := fsys.OpenFile(memDir+"/.holdfast/live/"+name, os.O_CREATE|os.O_WRONLY)
		if err == nil {
			_, err = f.WriteAt(held, 0)
		}
		if err = errors.Join(err, f.Sync(), fsys.SyncDir(memDir+"/.holdfast/live")); err != nil {
			panic(err)
		}
	}
	return fsys
}

// journalLines returns the lines of a journal, the record first, and the effect of each.
func journalLines(t *testing.T) (lines [][]byte, say []func(*journal)) {
	rec := storage.Record{ID: lifeID, Size: storage.Unknown, Created: time.Unix(1, 0).UTC(), Metadata: map[string]string{"is": "it"}}
	line, err := recordLine(rec)
	if err != nil {
		t.Fatal(err)
	}
	lines = append(lines, line)
	say = append(say, func(j *journal) { j.record = rec })
	for _, r := range []ranges.Range{ranges.Of(0, 12), ranges.Of(100, 120), ranges.Of(300, 1), ranges.Of(1000, 1000)} {
		lines = append(lines, rangeLines(ranges.NewSet(r)))
		say = append(say, func(j *journal) { j.ranges.Add(r) })
	}
	lines = append(lines, sizeLine(2000))
	say = append(say, func(j *journal) { j.record.Size = 2000 })
	return lines, say
}

// wantJournal checks that a store opened on a journal uses the intact lines and no others,
// and that a later store reads what it appends.
func wantJournal(t *testing.T, what string, text []byte, whole func(line int) bool) {
	t.Helper()
	lines, say := journalLines(t)
	var want journal
	any := false
	for i := range lines {
		if whole(i) && (i == 0 || whole(0)) {
			say[i](&want)
		}
		any = any || whole(i)
	}
	fsys := damagedJournal(text)
	for round := range 2 {
		store, err := openMem(fsys, nil)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		up, err := store.Load(context.Background(), lifeID)
		switch {
		case whole(0) && (err != nil || up.Size != want.record.Size || !up.Received.Equal(want.ranges)):
			t.Fatalf("%s, round %d: received %v, size %d, %v; want %v, %d", what, round, up.Received, up.Size, err, want.ranges, want.record.Size)
		case !whole(0) && any && !storage.Transient(err), !whole(0) && !any && !errors.Is(err, storage.ErrNotFound):
			t.Fatalf("%s: load without a record: %v", what, err)
		case !whole(0):
			return
		}
		r := ranges.Of(500+10*int64(round), 2)
		c := storage.Chunk{Offset: r.Start, Length: 2, Body: bytes.NewReader([]byte("ab"))}
		if err := store.Write(context.Background(), up, c, func(storage.Extent) storage.Upload { return up }); err != nil {
			t.Fatalf("%s, round %d: write: %v", what, round, err)
		}
		want.ranges.Add(r)
		fsys = fsys.clone()
		fsys.lose(nothingStays, nil)
	}
	store, _ := openMem(fsys, nil)
	if up, err := store.Load(context.Background(), lifeID); err != nil || !up.Received.Equal(want.ranges) {
		t.Fatalf("%s, at the end: received %v, %v; want %v", what, up.Received, err, want.ranges)
	}
}

func TestTruncatedJournalIsReadUpToTheCutAndAppendedTo(t *testing.T) {
	lines, _ := journalLines(t)
	text := bytes.Join(lines, nil)
	for cut := range len(text) + 1 {
		whole := func(line int) bool { return len(bytes.Join(lines[:line+1], nil)) <= cut }
		for name, tail := range map[string][]byte{
			"": nil, "zeros": make([]byte, 200), "a line of zeros": append(make([]byte, 50), '\n'), "garbage": []byte("range 0 2000"),
			"a line of garbage": []byte("0 2000 00000000\n"),
		} {
			after := append(bytes.Clone(text[:cut]), tail...)
			wantJournal(t, fmt.Sprintf("cut at %d, then %q", cut, name), after, whole)
		}
	}
}

func TestJournalLineWithACorruptByteIsIgnored(t *testing.T) {
	lines, _ := journalLines(t)
	text := bytes.Join(lines, nil)
	for at := range text {
		garbled := bytes.Clone(text)
		garbled[at] ^= 1
		first, last := 0, 0
		for len(bytes.Join(lines[:first+1], nil)) <= at {
			first++
		}
		if last = first; text[at] == '\n' {
			last++ // which is joined to it
		}
		wantJournal(t, fmt.Sprintf("byte %d is wrong", at), garbled, func(line int) bool { return line < first || line > last })
	}
}

// An interrupted Create leaves no upload, but a journal with a damaged record is an upload.
func TestJournalWithADamagedRecordIsNotOverwritten(t *testing.T) {
	lines, _ := journalLines(t)
	lines[0][3] ^= 1
	text := bytes.Join(lines, nil)
	fsys := damagedJournal(text)
	store, err := openMem(fsys, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = store.Create(context.Background(), storage.Record{ID: lifeID, Size: 3, ClientChosenID: true})
	if !storage.Transient(err) {
		t.Errorf("create: %v, want a transient error", err)
	}
	if held, err := store.readFile(store.livePath(lifeID)); err != nil || !bytes.Equal(held, text) {
		t.Errorf("the journal was overwritten: %q, %v", held, err)
	}
}
