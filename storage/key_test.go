package storage_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
)

func TestCheckKeyLetsNothingLeaveItsPrefix(t *testing.T) {
	longest := strings.Repeat("k", 255) // of names in file systems
	whole := strings.Join([]string{longest, longest, longest, strings.Repeat("k", storage.MaxKeyLength-3*256)}, "/")
	for _, key := range []string{"a", "a.mp4", "videos/2026/ä b (1).mp4", "a/..b", "日本/x", longest + "/" + longest, whole} {
		want := error(nil)
		if strings.Contains(key, "/..") {
			want = storage.ErrBadRequest
		}
		if err := storage.CheckKey(key); !errors.Is(err, want) {
			t.Errorf("%.40q: %v, want %v", key, err, want)
		}
	}
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".holdfast/live/x/record", "a/.hidden",
		`a\b`, "a\x00b", "a\nb", "a\r\nX-Header: b", "a\xffb", "a\u202eb", whole + "k",
		longest + "k", "a/" + longest + "k/b", strings.Repeat("ä", 128),
	} {
		if err := storage.CheckKey(key); !errors.Is(err, storage.ErrBadRequest) {
			t.Errorf("%.40q: %v, want ErrBadRequest", key, err)
		}
	}
}
