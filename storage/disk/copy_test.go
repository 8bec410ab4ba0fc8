package disk

import (
	"errors"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// crossing returns a store with a complete upload whose key leads to another file system.
func crossing(t *testing.T, links error, data []byte) (*Store, *memFS, storage.Upload) {
	t.Helper()
	fsys := newMemFS(memDir)
	var below fileSystem = fsys
	if links != nil {
		below = linkless{fsys, links}
	}
	s, err := open(mounts{below}, memDir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []step{
		create(storage.Record{ID: lifeID, Key: lifeKey, Size: int64(len(data)), ClientChosenID: true}, 1),
		write(data, ranges.Of(0, int64(len(data)))),
	} {
		if err := step.do(s); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
	}
	up, err := s.Load(t.Context(), lifeID)
	if err != nil {
		t.Fatal(err)
	}
	return s, fsys, up
}

// wantNames demands that a directory has just the given names.
func wantNames(t *testing.T, fsys fileSystem, dir string, want ...string) {
	t.Helper()
	var got []string
	for name, err := range fsys.Names(dir) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, name)
	}
	if len(got) != len(want) || len(want) > 0 && got[0] != want[0] {
		t.Errorf("in %s are %q, want %q", dir, got, want)
	}
}

func TestAFileOnAnotherFileSystemIsCopiedThere(t *testing.T) {
	data := storagetest.Content(1, 300_000)
	for _, links := range []error{nil, errors.ErrUnsupported} {
		s, fsys, up := crossing(t, links, data)
		for range 2 {
			if _, err := s.Finish(t.Context(), up); err != nil {
				t.Fatalf("links: %v: %v", links, err)
			}
		}
		if err := wantFile(data).do(s); err != nil {
			t.Errorf("links: %v: %v", links, err)
		}
		wantNames(t, fsys, memDir+"/k/d", "it")
		wantNames(t, fsys, s.own("live"), "it.log")
		if err := s.Delete(t.Context(), lifeID); err != nil {
			t.Error(err)
		}
		wantNames(t, fsys, memDir, ".holdfast")
	}
}

// A crash in between leaves the copy and the data file.
func TestAnInterruptedCopyIsTheUploadsOwn(t *testing.T) {
	data := storagetest.Content(1, 300_000)
	for _, links := range []error{nil, errors.ErrUnsupported} {
		for what, do := range map[string]func(storage.Store) error{
			"finish": finishIt,
			"load":   wantFile(data).do,
			"delete": func(s storage.Store) error { return s.Delete(t.Context(), lifeID) },
		} {
			s, fsys, up := crossing(t, links, data)
			for _, err := range []error{s.makeDirs(up.Record), s.copyData(up), s.recordCopy(lifeID), s.linkFile(s.copyPath(up.Record), s.filePath(up.Record)), s.Close()} {
				if err != nil {
					t.Fatal(err)
				}
			}
			s, err := open(s.fs, memDir, Options{})
			if err == nil {
				err = do(s)
			}
			if err != nil {
				t.Fatalf("links: %v: %s: %v", links, what, err)
			}
			if what == "delete" {
				wantNames(t, fsys, memDir, ".holdfast")
				continue
			}
			wantNames(t, fsys, memDir+"/k/d", "it")
			wantNames(t, fsys, s.own("live"), "it.log")
		}
	}
}

// Another's file, even with the same bytes, is never replaced, removed, or taken for the
// upload's.
func TestAFileOnAnotherFileSystemThatIsThereKeepsTheName(t *testing.T) {
	data := storagetest.Content(1, 300_000)
	for what, other := range map[string][]byte{"the same bytes": data, "other bytes": storagetest.Content(2, 300_000)} {
		s, fsys, up := crossing(t, nil, data)
		if err := errors.Join(s.makeDirs(up.Record), s.writeFile(s.filePath(up.Record), other)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Finish(t.Context(), up); !errors.Is(err, storage.ErrKeyTaken) {
			t.Errorf("%s: finish: %v, want ErrKeyTaken", what, err)
		}
		if up, err := s.Load(t.Context(), lifeID); err != nil || up.Finished {
			t.Errorf("%s: finished: %v, %v", what, up.Finished, err)
		}
		wantNames(t, fsys, memDir+"/k/d", "it")
		if err := s.Delete(t.Context(), lifeID); err != nil {
			t.Error(err)
		}
		wantNames(t, fsys, memDir+"/k/d", "it")
	}
}

// A crash before the copy has its name leaves a file that goes with the upload.
func TestACopyWithoutItsNameIsRemovedWithTheUpload(t *testing.T) {
	s, fsys, up := crossing(t, nil, storagetest.Content(1, 300_000))
	if err := errors.Join(s.makeDirs(up.Record), s.copyData(up)); err != nil {
		t.Fatal(err)
	}
	wantNames(t, fsys, memDir+"/k/d", "."+lifeID+".copy")
	if err := s.Delete(t.Context(), lifeID); err != nil {
		t.Error(err)
	}
	wantNames(t, fsys, memDir+"/k/d")
}

// The file takes the name while the data file is copied.
func TestAFileThatTakesTheNameDuringTheCopyKeepsIt(t *testing.T) {
	data := storagetest.Content(1, 300_000)
	for what, other := range map[string][]byte{
		"other bytes": storagetest.Content(2, 300_000), "a longer file": storagetest.Content(1, 300_001), "a shorter file": data[:1000],
	} {
		s, fsys, up := crossing(t, nil, data)
		fsys.fault = func(op, path string) verdict {
			if op == "link" {
				fsys.fault = nil
				if err := s.writeFile(s.filePath(up.Record), other); err != nil {
					t.Error(err)
				}
			}
			return verdict{}
		}
		if _, err := s.Finish(t.Context(), up); !errors.Is(err, storage.ErrKeyTaken) {
			t.Errorf("%s: finish: %v, want ErrKeyTaken", what, err)
		}
		wantNames(t, fsys, memDir+"/k/d", "it")
		if err := s.Delete(t.Context(), lifeID); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		wantNames(t, fsys, memDir+"/k/d", "it")
	}
}
