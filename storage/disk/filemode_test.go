package disk_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/disk"
)

func TestFinishedFilesHaveTheirMode(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	for mode, want := range map[fs.FileMode][2]fs.FileMode{0: {0o600, 0o700}, 0o640: {0o640, 0o750}, 0o644: {0o644, 0o755}, 0o600: {0o600, 0o700}, 0o660: {0o660, 0o770}} {
		dir := t.TempDir()
		s, err := disk.Open(dir, disk.Options{FileMode: mode})
		if err != nil {
			t.Fatal(err)
		}
		p := &place{T: t, ctx: t.Context(), dir: dir, store: s}
		p.complete(storage.Record{ID: "it", Key: "videos/it"}, []byte("bytes"))
		p.must("finish", p.finish("it"))
		for i, path := range []string{"videos/it", "videos"} {
			info, err := os.Stat(filepath.Join(dir, path))
			if err != nil || info.Mode().Perm() != want[i] {
				t.Errorf("with %o, %s has %v, want %o (%v)", mode, path, info.Mode(), want[i], err)
			}
		}
		p.must("close", s.Close())
	}
}
