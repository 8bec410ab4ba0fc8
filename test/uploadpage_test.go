package test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/auth"
)

// slowLine is a rate in bytes per second at which a test has time to interrupt an upload.
const slowLine = mib

// fileNamed writes content to the disk under a name.
func fileNamed(t *testing.T, name string, content Content) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(file(t, content)), name)
	if err := os.Rename(filepath.Join(filepath.Dir(path), "video.mp4"), path); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantStored demands that the directory of the server has one finished file, with this
// content, and returns its id.
func wantStored(t *testing.T, s *Server, content Content) (id string) {
	t.Helper()
	entries, err := os.ReadDir(s.Data)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") && id == "" {
			id = e.Name()
		}
	}
	f, err := os.Open(filepath.Join(s.Data, id))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if sum, n, err := Sum(f); err != nil || n != content.Size || sum != content.Sum() {
		t.Errorf("the server has %d bytes of other content, %v", n, err)
	}
	return id
}

// bytesIn returns how many bytes of bodies the server has logged.
func bytesIn(s *Server) (sum int64) {
	for line := range strings.Lines(s.Log()) {
		var entry struct {
			BytesIn int64 `json:"bytes_in"`
		}
		_ = json.Unmarshal([]byte(line), &entry) // other lines have no such field
		sum += entry.BytesIn
	}
	return sum
}

func TestUploadPageGoesOnAfterAKillAndAReload(t *testing.T) {
	t.Parallel()
	s := start(t, "--upload-page")
	content := NewContent(310, 40*mib)
	path := fileNamed(t, "<img src=x onerror=alert(1)>.mp4", content)
	p := openPage(t, s.URL("_upload"))
	p.do("line", nil, slowLine, false)
	p.do("drop", nil, "#drop", []string{path})
	p.await(".name", "<img src=x onerror=alert(1)>.mp4")
	p.await(".state", "left")
	p.awaitTrue("document.querySelector('progress').value > .1")
	s.Kill()
	p.await(".state", "No connection to the server. Next attempt in")
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	p.awaitTrue("document.querySelector('progress').value > .25")
	p.do("line", nil, slowLine, true)
	p.await(".state", "No connection")
	p.do("line", nil, slowLine, false)
	p.do("reload", nil)
	p.await(".state", "is on the server. Choose the same file again to go on.")
	p.do("line", nil, 0, false)
	before := bytesIn(s)
	p.do("drop", nil, "#drop", []string{path})
	p.await(".state", "Uploaded")
	wantStored(t, s, content)
	if sent := bytesIn(s) - before; sent > content.Size*9/10 {
		t.Errorf("after the reload %d of %d bytes were sent", sent, content.Size)
	}
	if left := evaluate[string](p, "JSON.stringify(localStorage)"); strings.Contains(left, "onerror") {
		t.Errorf("the page remembers a finished upload: %s", left)
	}
}

func TestUploadPagePausesAndCancels(t *testing.T) {
	t.Parallel()
	s := start(t, "--upload-page", "--max-size", "60MiB")
	content := NewContent(311, 40*mib)
	p := openPage(t, s.URL("_upload/"))
	p.do("line", nil, slowLine, false)
	p.do("choose", nil, "#files", []string{file(t, content), fileNamed(t, "large.mp4", NewContent(312, 61*mib))})
	p.await(".state", "The file is larger than allowed.")
	p.await(".state", "left")
	p.do("click", nil, "li.running .toggle")
	p.await("li.paused .state", "Paused.")
	p.await("li.paused .toggle", "Resume")
	p.do("press", nil, "Enter") // the focus is still there
	p.await("li.running .toggle", "Pause")
	id := evaluate[string](p, "[...rows.values()].find(r => r.transfer.state === 'running').transfer.id")
	p.do("click", nil, "li.running .remove")
	p.await("#announce", "Canceled, and removed from the server.")
	ask(t, http.MethodGet, s.URL(id), nil, nil, http.StatusGone)
	if n := len(p.texts("li")); n != 1 {
		t.Errorf("%d files are listed", n)
	}
}

// All with the keyboard.
func TestUploadPageAsksForAToken(t *testing.T) {
	t.Parallel()
	s := guarded(t, "--upload-page", "--ticket-ttl", "1h")
	content := NewContent(313, 20*mib)
	p := openPage(t, s.URL("_upload/"))
	p.do("choose", nil, "#files", []string{file(t, content)})
	p.await("#access-why", "The server asks for an access token")
	token := Token("anna")
	p.do("type", nil, token)
	p.do("press", nil, "Enter")
	p.await(".state", "Uploaded")
	wantStored(t, s, content)
	if kept := evaluate[string](p, "JSON.stringify(localStorage)"); strings.Contains(kept, "eyJ") {
		t.Errorf("a credential is kept for ever: %s", kept)
	}
	p.do("reload", nil)
	second := NewContent(314, mib)
	p.do("choose", nil, "#files", []string{fileNamed(t, "second.mp4", second)})
	p.await(".state", "Uploaded")
}

func TestUploadPageUploadsWithALink(t *testing.T) {
	t.Parallel()
	s := guarded(t, "--upload-page")
	content := NewContent(315, 36*mib)
	path := file(t, content)
	p := openPage(t, s.URL("_upload#ticket="+TicketFor(auth.Ticket{Upload: "trip", Create: true})))
	p.await("#link", "This link is for one file.")
	var url string
	if p.do("url", &url); strings.Contains(url, "ticket") {
		t.Errorf("the ticket stays in the URL: %s", url)
	}
	p.do("line", nil, slowLine, false)
	p.do("choose", nil, "#files", []string{path})
	p.awaitTrue("document.querySelector('progress').value > .2")
	p.do("reload", nil)
	p.await(".state", "is on the server")
	p.do("choose", nil, "#files", []string{fileNamed(t, "other.mp4", NewContent(316, 36*mib))})
	p.await("#message", "A part of video.mp4 was sent by this link.")
	p.do("line", nil, 0, false)
	p.do("choose", nil, "#files", []string{path})
	p.await(".state", "Uploaded")
	if id := wantStored(t, s, content); id != "trip" {
		t.Errorf("the upload is %q", id)
	}

	p.do("reload", nil)
	p.do("choose", nil, "#files", []string{fileNamed(t, "other.mp4", NewContent(316, 36*mib))})
	p.await(".state", "The server has a whole file here already. Nothing was sent.")

	expired := TicketFor(auth.Ticket{Upload: "late", Create: true, Expires: time.Now().Add(-time.Hour)})
	p.do("goto", nil, s.URL("_upload/?again#ticket="+expired))
	p.do("choose", nil, "#files", []string{path})
	p.await(".state", "This link is not valid, or has expired.")
}

func TestUploadPageIsOffByDefault(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, path := range []string{"_upload", "_upload/", "_upload/page.js"} {
		wantSecure(t, path, ask(t, http.MethodGet, s.URL(path), nil, nil, http.StatusBadRequest).Header)
	}
}
