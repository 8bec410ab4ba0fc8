package google

import (
	"errors"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
)

func TestPropertiesBecomeMetadata(t *testing.T) {
	for _, c := range []struct {
		url, typ, body string
		want           storage.Metadata
	}{
		{"/", "", "", storage.Metadata{"bucket": "bk"}},
		{"/?name=dir%2Fa.mp4", "video/mp4", "{}", storage.Metadata{"bucket": "bk", "name": "dir/a.mp4", "filename": "a.mp4", "filetype": "video/mp4"}},
		{"/", "", `{"name":"a","contentType":"text/plain","contentEncoding":"gzip","size":"7","acl":[{"role":"OWNER"}]}`,
			storage.Metadata{"bucket": "bk", "name": "a", "filename": "a", "filetype": "text/plain", "contentEncoding": "gzip"}},
		{"/?name=b", "text/html", `{"name":"a","contentType":"text/plain","metadata":{"filename":"Holiday","mtime":"7"}}`,
			storage.Metadata{"bucket": "bk", "name": "b", "filename": "Holiday", "filetype": "text/plain", "mtime": "7"}},
	} {
		r := httptest.NewRequest("POST", c.url, nil)
		r.Header.Set("X-Upload-Content-Type", c.typ)
		var p properties
		if err := protocol.ReadJSON(strings.NewReader(c.body), &p); err != nil {
			t.Fatal(err)
		}
		rec, err := p.record(r, target{kind: collection, bucket: "bk"})
		if err != nil || !maps.Equal(rec.Metadata, c.want) {
			t.Errorf("%s %s: %v, %v, want %v", c.url, c.body, rec.Metadata, err, c.want)
		}
		if named := c.want["name"] != ""; named != (rec.IDPrefix != "") || storage.CheckID(rec.IDPrefix+storage.NewID()) != nil {
			t.Errorf("%s: the id begins with %q", c.url, rec.IDPrefix)
		}
	}
}

func TestInvalidPropertiesAreRejected(t *testing.T) {
	for _, body := range []string{"{", `"text"`, `{"name":7}`, `{"metadata":{"a":7}}`, strings.Repeat(" ", 64<<10+1), `{"metadata":{"bucket":"mine"}}`} {
		var p properties
		err := protocol.ReadJSON(strings.NewReader(body), &p)
		if err == nil {
			_, err = p.record(httptest.NewRequest("POST", "/", nil), target{})
		}
		if !errors.Is(err, storage.ErrBadRequest) {
			t.Errorf("%.50s: %v, want ErrBadRequest", body, err)
		}
	}
	for _, length := range []string{"-1", "x", "9223372036854775808"} {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set("X-Upload-Content-Length", length)
		if _, err := declaredSize(r); !errors.Is(err, storage.ErrBadRequest) {
			t.Errorf("a length of %s: %v, want ErrBadRequest", length, err)
		}
	}
}

func TestAnIDDependsOnOwnerBucketAndName(t *testing.T) {
	anonymous := httptest.NewRequest("GET", "/", nil)
	owned := anonymous.WithContext(protocol.WithPrincipal(anonymous.Context(), protocol.Principal{Subject: "alice"}))
	ids := map[string]bool{
		nameID(anonymous, "bk", "a"): true, nameID(owned, "bk", "a"): true,
		nameID(anonymous, "b", "ka"): true, nameID(anonymous, "bk", "b"): true,
	}
	if len(ids) != 4 || !ids[nameID(owned, "bk", "a")] {
		t.Errorf("the ids are %v", ids)
	}
}
