package test

import (
	"net/http"
	"os"
	"testing"
)

// A file system that was unmounted, for instance. The server knows of the upload only what
// is in the directory.
func TestF36WhileTheDataDirectoryIsAwayNoAnswerSaysThatTheUploadIsLost(t *testing.T) {
	t.Parallel()
	s := start(t, "--sweep-interval", "1h")
	c := newClient(s, "f36", small)
	for _, r := range smallChunk[:9] {
		put(t, c, r, http.StatusAccepted)
	}
	restart(t, s)
	away := s.Data + ".away"
	if err := os.Rename(s.Data, away); err != nil {
		t.Fatal(err)
	}
	wantTransient(t, c)
	ask(t, http.MethodDelete, c.URL, nil, nil, http.StatusServiceUnavailable)
	if err := os.Mkdir(s.Data, 0o750); err != nil { // the empty directory below a mount
		t.Fatal(err)
	}
	wantTransient(t, c)
	if err := os.Remove(s.Data); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(away, s.Data); err != nil {
		t.Fatal(err)
	}
	if _, offset := head(t, c.URL, http.StatusOK); offset != 900 {
		t.Errorf("the offset is %d once the directory is back", offset)
	}
	put(t, c, smallChunk[9], http.StatusCreated)
	wantFile(t, c.URL, small)
}
