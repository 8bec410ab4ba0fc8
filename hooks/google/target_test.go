package google

import (
	"net/http/httptest"
	"testing"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
)

func TestTargetOfARequest(t *testing.T) {
	h := New(nil, nil, protocol.Options{URLs: protocol.URLs{BasePath: "/files/"}})
	for _, c := range []struct {
		method, url string
		want        target
		ok          bool
	}{
		{"POST", "/upload/storage/v1/b/bk/o?uploadType=resumable", target{kind: collection, bucket: "bk"}, true},
		{"POST", "/resumable/upload/storage/v1/b/bk/o", target{kind: collection, bucket: "bk"}, true},
		{"POST", "/upload/storage/v1/b/bk/o/name", target{}, true},
		{"POST", "/upload/storage/v1/b//o", target{}, true},
		{"GET", "/storage/v1/b/bk/o/a.mp4", target{kind: object, bucket: "bk", name: "a.mp4"}, true},
		{"GET", "/storage/v1/b/bk/o/dir%2Fa%3F.mp4?alt=media", target{kind: object, bucket: "bk", name: "dir/a?.mp4", media: true}, true},
		{"GET", "/storage/v1/b/bk/o//a", target{kind: object, bucket: "bk", name: "/a"}, true},
		{"GET", "/download/storage/v1/b/bk/o/a", target{kind: object, bucket: "bk", name: "a", media: true}, true},
		{"GET", "/storage/v1/b/bk", target{}, true},
		{"GET", "/storage/v1/b/bk/o?prefix=a", target{}, true},
		{"GET", "/storage/v1/b", target{}, false},
		{"PUT", "/files/it?uploadType=resumable", target{kind: session, id: "it"}, true},
		{"POST", "/files/it?uploadType=resumable", target{kind: session, id: "it"}, true},
		{"DELETE", "/files/it?uploadType=resumable", target{kind: session, id: "it"}, true},
		{"GET", "/files/it?uploadType=resumable", target{kind: session, id: "it"}, false},
		{"PUT", "/files/it", target{kind: session, id: "it"}, false},
		{"PATCH", "/files/it", target{kind: session, id: "it"}, false},
		{"POST", "/files/", target{}, false},
	} {
		got, ok := h.parse(httptest.NewRequest(c.method, c.url, nil))
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%s %s: %+v, %v, want %+v, %v", c.method, c.url, got, ok, c.want, c.ok)
		}
	}
}

// With base paths that begin as Google's do, an upload's URL is still that of the upload.
func TestTheURLOfAnUploadIsNeverTakenForAnObject(t *testing.T) {
	for _, base := range []string{"/", "/storage/v1/b/bk/o/", "/upload/storage/v1/b/"} {
		h := New(nil, nil, protocol.Options{URLs: protocol.URLs{BasePath: base}})
		if got, ok := h.parse(httptest.NewRequest("GET", base+"it", nil)); ok {
			t.Errorf("below %s, GET of an upload is taken for %+v", base, got)
		}
	}
}

func FuzzTargetOfARequest(f *testing.F) {
	for _, url := range []string{"/upload/storage/v1/b/bk/o", "/storage/v1/b/bk/o/a", "/files/it", "/download/storage/v1/b//o/"} {
		f.Add("POST", url, "uploadType=resumable")
	}
	h := New(nil, nil, protocol.Options{URLs: protocol.URLs{BasePath: "/files/"}})
	f.Fuzz(func(t *testing.T, method, path, query string) {
		r := httptest.NewRequest("POST", "/", nil)
		r.Method, r.URL.Path, r.URL.RawQuery = method, path, query
		got, ok := h.parse(r)
		if ok && got.kind == session && got.id == "" || got.kind == object && (got.bucket == "" || got.name == "") {
			t.Errorf("%s %q: %+v", method, path, got)
		}
	})
}
