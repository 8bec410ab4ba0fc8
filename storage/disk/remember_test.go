package disk

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// F23: journals of uploads that were delivered to versions without done lines.
func TestF23JournalWithoutADoneLineIsDeliveredAtItsLastByte(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rec := storage.Record{ID: "it", Size: 3, Created: time.Now().UTC()}
	line, err := recordLine(rec)
	if err != nil {
		t.Fatal(err)
	}
	text := append(line, rangeLines(ranges.NewSet(ranges.Of(0, 3)))...)
	last := time.Now().Add(-48 * time.Hour).Truncate(time.Second)
	for path, content := range map[string][]byte{s.donePath("it"): text, filepath.Join(dir, "it"): []byte("abc")} {
		if err := errors.Join(os.WriteFile(path, content, 0o640), os.Chtimes(path, last, last)); err != nil {
			t.Fatal(err)
		}
	}
	if up, err := s.Load(t.Context(), "it"); err != nil || !up.Finished || up.FileMissing || up.DeliveryPending {
		t.Errorf("with its file: %+v, %v", up, err)
	}
	if err := os.Remove(filepath.Join(dir, "it")); err != nil {
		t.Fatal(err)
	}
	up, err := s.Load(t.Context(), "it")
	if err != nil || !up.FileMissing || !up.Delivered.Equal(last) || !up.ModifiedAt.Equal(last) {
		t.Errorf("without its file: %+v, %v", up, err)
	}
	for _, c := range []struct {
		before time.Time
		want   error
	}{{last.Add(-time.Hour), nil}, {last.Add(time.Hour), storage.ErrNotFound}} {
		if err := s.CleanFinished(t.Context(), c.before); err != nil {
			t.Error(err)
		}
		if _, err := s.Load(t.Context(), "it"); !errors.Is(err, c.want) {
			t.Errorf("purge before %v: %v, want %v", c.before, err, c.want)
		}
	}
}

// A crash comes between the done line and the renaming of the journal.
func TestInterruptedMarkDeliveredIsNotPending(t *testing.T) {
	s, err := Open(t.TempDir(), Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rec := storage.Record{ID: "it", Key: "a/b", Size: 3, Created: time.Now().UTC()}
	if err := s.Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	up := storage.Upload{Record: rec}
	write := storage.Chunk{Length: 3, Body: bytes.NewReader([]byte("abc"))}
	if err := s.Write(t.Context(), up, write, func(p storage.Extent) storage.Upload { up.Add(p); return up }); err != nil {
		t.Fatal(err)
	}
	_, finishErr := s.Finish(t.Context(), up)
	if err := errors.Join(finishErr, s.appendDone("it")); err != nil {
		t.Fatal(err)
	}
	s.journals.drop("it") // as in another process
	if now, err := s.Load(t.Context(), "it"); err != nil || !now.Finished || now.DeliveryPending || now.Delivered.IsZero() {
		t.Errorf("%+v, %v", now, err)
	}
	if err := s.MarkDelivered(t.Context(), up); err != nil {
		t.Fatal(err)
	}
	for id := range s.List(t.Context()) {
		t.Errorf("%s is listed", id)
	}
}
