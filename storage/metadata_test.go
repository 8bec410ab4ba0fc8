package storage_test

import (
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
)

func TestWhatAClientCallsItsFileNeverRunsOrEscapes(t *testing.T) {
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
			"application/octet-stream", "attachment; filename*=utf-8''a%0D%0ASet-Cookie%3A%20x%3D1"},
		{"no media type", map[string]string{"filetype": "nonsense/"}, "", "application/octet-stream", "attachment"},
	} {
		rec := storage.Record{Metadata: c.meta}
		if rec.Filename() != c.filename || rec.ContentType() != c.typ || rec.Disposition() != c.disposed {
			t.Errorf("%s: %q, %q, %q", c.name, rec.Filename(), rec.ContentType(), rec.Disposition())
		}
	}
}
