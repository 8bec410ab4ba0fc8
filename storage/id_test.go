package storage_test

import (
	"errors"
	"net/url"
	"path"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/holdfast-upload/holdfast/storage"
)

func TestCheckID(t *testing.T) {
	long := strings.Repeat("x", storage.MaxIDLength)
	for _, id := range []string{"a", "0", "Z", "a-_.~", "a..b", "a.", long, "7e6a5f60-7b1a-4ba9-9d60-0a3b0d2f8b6c", storage.NewID()} {
		if err := storage.CheckID(id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, id := range []string{"", ".", "..", "-a", "_a", "~a", ".a", "a/b", "/a", `a\b`, "a b", "a\x00", "a\n", "a:b", "a%2fb",
		"a*", "a?b", "a#b", "a+b", "ä", "aä", "a\xff", "a\u0301", "{a}", long + "x"} {
		if err := storage.CheckID(id); !errors.Is(err, storage.ErrBadID) {
			t.Errorf("%q: %v, want ErrBadID", id, err)
		}
	}
}

func FuzzCheckedIDNeedsNoEscaping(f *testing.F) {
	for _, id := range []string{"a", "..", "a/b", "%2e", "a~1", "A_9.-", "é", ""} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if storage.CheckID(id) != nil {
			return
		}
		if !utf8.ValidString(id) || url.PathEscape(id) != id || url.QueryEscape(id) != id {
			t.Errorf("%q is allowed, and needs escaping", id)
		}
		if path.Join("/dir", id) != "/dir/"+id || strings.HasPrefix(id, ".") || len(id) == 0 || len(id) > storage.MaxIDLength {
			t.Errorf("%q is allowed, and no safe name of a file", id)
		}
	})
}
