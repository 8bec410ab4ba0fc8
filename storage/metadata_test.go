package storage_test

import (
	"mime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/holdfast-upload/holdfast/storage"
)

func TestFilenamesAreNeitherDisplayedNorUnescaped(t *testing.T) {
	for _, c := range []struct {
		name                    string
		meta                    map[string]string
		filename, typ, disposed string
	}{
		{"nothing", nil, "", "application/octet-stream", "attachment"},
		{"tus-js-client's", map[string]string{"filename": "a b.mp4", "filetype": "video/mp4"}, "a b.mp4", "video/mp4", `attachment; filename="a b.mp4"`},
		{"Uppy's", map[string]string{"name": "x.txt", "type": "text/plain; charset=utf-8"}, "x.txt", "text/plain; charset=utf-8", "attachment; filename=x.txt"},
		{"a page", map[string]string{"filename": "x.html", "filetype": "text/html"}, "x.html", "text/html", "attachment; filename=x.html"},
		{"not ASCII", map[string]string{"filename": "ü.mp4"}, "ü.mp4", "application/octet-stream", "attachment; filename*=utf-8''%C3%BC.mp4"},
		{"a new header line", map[string]string{"filename": "a\r\nSet-Cookie: x=1", "filetype": "text/plain\r\nX: y"}, "a\r\nSet-Cookie: x=1",
			"application/octet-stream", `attachment; filename="aSet-Cookie: x=1"`},
		{"no media type", map[string]string{"filetype": "nonsense/"}, "", "application/octet-stream", "attachment"},
	} {
		rec := storage.Record{Metadata: c.meta}
		if rec.Filename() != c.filename || rec.ContentType() != c.typ || rec.Disposition() != c.disposed {
			t.Errorf("%s: %q, %q, %q", c.name, rec.Filename(), rec.ContentType(), rec.Disposition())
		}
	}
}

func TestALongNameIsTruncatedBeforeItsExtension(t *testing.T) {
	long := func(s string, n int) string { return strings.Repeat(s, n) }
	for _, c := range []struct{ what, name, kept string }{
		{"255 characters", long("a", 251) + ".mp4", long("a", 251) + ".mp4"},
		{"256 characters", long("a", 252) + ".mp4", long("a", 251) + ".mp4"},
		{"nothing but quotes", long(`"`, 5000) + ".mp4", long(`"`, 251) + ".mp4"},
		{"two bytes each", long("ü", 5000) + ".mp4", long("ü", 163) + ".mp4"},
		{"four bytes each", long("😀", 5000) + ".mp4", long("😀", 81) + ".mp4"},
		{"an extension with characters of its own", long("a", 5000) + ".üü", long("a", 252) + ".üü"},
		{"no extension", long("a", 64<<10), long("a", 255)},
		{"a dot and nothing short after it", "a." + long("b", 5000), "a." + long("b", 253)},
		{"no characters at all", long("\xff", 5000) + ".mp4", long("\xff", 251) + ".mp4"},
	} {
		rec := storage.Record{Metadata: map[string]string{"filename": c.name}}
		disposed := rec.Disposition()
		_, params, err := mime.ParseMediaType(disposed)
		if err != nil || params["filename"] != c.kept {
			t.Errorf("%s: %q, %v; want %q", c.what, params["filename"], err, c.kept)
		}
		if len(disposed) > 1<<10 {
			t.Errorf("%s: %d bytes: %s", c.what, len(disposed), disposed)
		}
		if utf8.ValidString(c.name) != utf8.ValidString(params["filename"]) {
			t.Errorf("%s: it was cut inside a character: %q", c.what, params["filename"])
		}
		if rec.Filename() != c.name {
			t.Errorf("%s: the record itself has %d of %d bytes", c.what, len(rec.Filename()), len(c.name))
		}
	}
}

func TestALongMediaTypeIsIgnored(t *testing.T) {
	for n, want := range map[int]string{255: "text/plain; a=" + strings.Repeat("b", 241), 256: "application/octet-stream", 60_000: "application/octet-stream"} {
		typ := "text/plain; a=" + strings.Repeat("b", n-len("text/plain; a="))
		if got := (storage.Record{Metadata: map[string]string{"filetype": typ}}).ContentType(); got != want {
			t.Errorf("a type of %d bytes: %q", n, got)
		}
	}
}

func TestMetadataHeaderLeavesOutWhatItCannotExpress(t *testing.T) {
	m := storage.Metadata{"b": "x", "a": "", "with space": "x", "with,comma": "x", "": "x", "ünï": "x", "line\nbreak": "x", "rel/name+1": "\xff"}
	if got, want := m.Header(), "a ,b eA==,rel/name+1 /w=="; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := storage.Metadata(nil).Header(); got != "" {
		t.Errorf("without metadata: %q", got)
	}
}
