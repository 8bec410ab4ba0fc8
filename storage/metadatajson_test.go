package storage_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// F27: the stored record has the exact bytes of the client's metadata.
func FuzzF27ARecordKeepsTheBytesOfMetadata(f *testing.F) {
	for _, value := range []string{"", "a.mp4", "sp\xc3\xa4t", "sp\xe4t", "\xff\xfe", "\xed\xa0\x80", "a\x00b", "\ufffd", "<&>\u2028", `"\`} {
		f.Add("filename", value, "other", "text")
		f.Add(value, "a.mp4", "other", value)
	}
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		rec := storage.Record{ID: "it", Size: 3, Metadata: storage.Metadata{name1: value1, name2: value2}}
		text, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		var read storage.Record
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if !maps.Equal(read.Metadata, rec.Metadata) {
			t.Errorf("%q was written as %s and read as %q", rec.Metadata, text, read.Metadata)
		}
		again, err := json.Marshal(read)
		if err != nil || string(again) != string(text) {
			t.Errorf("%v: one record is written in two ways:\n%s\n%s", err, text, again)
		}
	})
}

// Text metadata keeps its original encoding, for compatibility with existing records and
// older servers.
func TestTextMetadataIsAJSONObject(t *testing.T) {
	const text = `{"id":"it","size":3,"metadata":{"empty":"","filename":"sp\u00e4t \"1\".mp4"},"created":"2026-03-01T12:30:15Z","chosen":true}`
	want := storage.Record{ID: "it", Size: 3, Created: time.Date(2026, 3, 1, 12, 30, 15, 0, time.UTC), ClientChosenID: true,
		Metadata: storage.Metadata{"filename": "spät \"1\".mp4", "empty": ""}}
	var read storage.Record
	if err := json.Unmarshal([]byte(text), &read); err != nil || !maps.Equal(read.Metadata, want.Metadata) {
		t.Errorf("read as %+v, %v", read, err)
	}
	written, err := json.Marshal(want)
	if err != nil || !strings.Contains(string(written), `"metadata":{"empty":"","filename":"spät \"1\".mp4"}`) {
		t.Errorf("written as %s, %v", written, err)
	}
	if none, err := json.Marshal(storage.Record{ID: "it"}); err != nil || strings.Contains(string(none), "metadata") {
		t.Errorf("without metadata: %s, %v", none, err)
	}
}

func TestInvalidMetadataIsAnError(t *testing.T) {
	for _, text := range []string{`[["YQ=="`, `[["a"]]`, `[["YQ==","?"]]`, `"text"`, `{"a":1}`, `[1]`} {
		var rec storage.Record
		if err := json.Unmarshal([]byte(`{"id":"it","metadata":`+text+`}`), &rec); err == nil {
			t.Errorf("%s: read as %q", text, rec.Metadata)
		}
	}
}
