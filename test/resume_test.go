package test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// deployments are what a client may meet when it resumes: the server that it began at,
// or another node.
var deployments = map[string]func(t *testing.T) (before, after *Server){
	"disk": func(t *testing.T) (*Server, *Server) {
		s := start(t, "--admin-listen", "127.0.0.1:0")
		return s, s
	},
	"S3": func(t *testing.T) (*Server, *Server) {
		s := onS3(t, []string{"--admin-listen", "127.0.0.1:0"})
		run(t, s)
		return s, s
	},
	"two nodes": func(t *testing.T) (*Server, *Server) {
		first, s3, redis := startOnS3(t, "--admin-listen", "127.0.0.1:0")
		second := &Server{Bin: holdfast, Data: filepath.Join(t.TempDir(), "unused"), Wrap: first.Wrap, Args: sharedArgs(s3, redis)}
		run(t, second)
		return first, second
	},
}

func sharedArgs(s3, redis *servers.Server) []string {
	return []string{"--s3-bucket", "uploads", "--s3-endpoint", s3.URL("http"), "--s3-path-style", "--redis", redis.URL("redis") + "/0"}
}

// breaks are the ways in which a connection is lost.
var breaks = map[string]func(w *wire){
	"closed":  func(w *wire) { w.conn.Close() },
	"reset":   (*wire).reset,
	"stalled": func(*wire) {},
}

// beginPatch sends the head of a PATCH with all of the content, and, once the server reads the
// body, its first bytes. A request that the server reads after a later one would replace that.
func beginPatch(t *testing.T, s *Server, id string, content Content, sent int64, fields ...string) *wire {
	t.Helper()
	w := dial(t, s.Addr)
	w.send(append([]string{"PATCH /files/" + id + " HTTP/1.1", "Host: " + s.Addr, tusVersion, offsetBytes,
		"Upload-Offset: 0", "Expect: 100-continue", fmt.Sprintf("Content-Length: %d", content.Size)}, fields...)...)
	demand(t, w.answer(), http.StatusContinue)
	w.write(string(content.Bytes(ranges.Of(0, sent))))
	return w
}

// Whatever has become of the connection of a client, its next PATCH is taken at the offset
// that HEAD has just named.
func TestF20AResumedPatchIsTakenAtTheOffsetOfItsHEAD(t *testing.T) {
	t.Parallel()
	const rounds, sent = 4, 2_000_000
	content := NewContent(20, 9_000_000)
	for name, deploy := range deployments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, after := deploy(t)
			for way, lose := range breaks {
				again := int64(0)
				for range rounds {
					id := idOf(createTus(t, before, content.Size))
					w := beginPatch(t, before, id, content, sent)
					lose(w)
					_, offset := head(t, after.URL(id), http.StatusOK)
					a := patch(t, after.URL(id), content, ranges.Range{Start: offset, End: content.Size}, http.StatusNoContent)
					if got := a.Header.Get("Upload-Offset"); got != fmt.Sprint(content.Size) {
						t.Errorf("%s: the PATCH from %d on leads to %s", way, offset, got)
					}
					wantFile(t, after.URL(id), content)
					again += max(0, sent-offset)
				}
				t.Logf("%s: %d of %d bytes were sent again", way, again, rounds*sent)
			}
		})
	}
}

// What lies before the offset is skipped, and what was received first stays.
func TestF20AnOverlapIsSkipped(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := NewContent(21, 100)
	url := createTus(t, s, content.Size)
	patch(t, url, content, ranges.Of(0, 40), http.StatusNoContent)
	from := func(offset int) []string {
		return []string{tusVersion, offsetBytes, fmt.Sprintf("Upload-Offset: %d", offset)}
	}
	for _, step := range []struct {
		start, length int
		want          int
		offset        string
	}{
		{10, 20, http.StatusNoContent, "40"}, // all of it is there
		{30, 20, http.StatusNoContent, "50"},
		{51, 9, http.StatusConflict, ""}, // beyond what is there
		{0, 100, http.StatusNoContent, "100"},
		{0, 100, http.StatusNoContent, "100"}, // the file is complete
		{60, 40, http.StatusNoContent, "100"},
		{60, 41, http.StatusRequestEntityTooLarge, ""},
	} {
		wrong := content.Bytes(content.All())[:min(step.start+step.length, 100)]
		for i := range min(40, len(wrong)) { // these are there
			wrong[i] = 'x'
		}
		body := string(wrong[step.start:]) + strings.Repeat("x", max(0, step.start+step.length-100))
		a := ask(t, http.MethodPatch, url, strings.NewReader(body), from(step.start), step.want)
		if got := a.Header.Get("Upload-Offset"); got != step.offset {
			t.Errorf("%d bytes at %d: the offset is %q, want %q", step.length, step.start, got, step.offset)
		}
	}
	wantFile(t, url, content)
}

// A checksum is that of the whole body, the part of it that is skipped included.
func TestF20AChecksumCoversTheOverlap(t *testing.T) {
	t.Parallel()
	s := start(t)
	url := createTus(t, s, 5)
	const sum = "Upload-Checksum: sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=" // that of "hello"
	ask(t, http.MethodPatch, url, strings.NewReader("he"), []string{tusVersion, offsetBytes, "Upload-Offset: 0"}, http.StatusNoContent)
	ask(t, http.MethodPatch, url, strings.NewReader("hallo"), []string{tusVersion, offsetBytes, "Upload-Offset: 0", sum}, 460)
	if _, offset := head(t, url, http.StatusOK); offset != 2 {
		t.Errorf("the offset is %d, but no byte has passed the check since it was 2", offset)
	}
	ask(t, http.MethodPatch, url, strings.NewReader("hello"), []string{tusVersion, offsetBytes, "Upload-Offset: 0", sum}, http.StatusNoContent)
	if file := ask(t, http.MethodGet, url, nil, nil, http.StatusOK).Body; string(file) != "hello" {
		t.Errorf("the file is %q", file)
	}
}

// The PATCH that names the length of an upload may be repeated.
func TestF20TheLengthMayBeDeclaredAgain(t *testing.T) {
	t.Parallel()
	s := start(t)
	url := createTus(t, s, -1, "Upload-Defer-Length: 1")
	for range 2 {
		ask(t, http.MethodPatch, url, strings.NewReader("hel"), []string{tusVersion, offsetBytes, "Upload-Offset: 0", "Upload-Length: 5"}, http.StatusNoContent)
	}
	ask(t, http.MethodPatch, url, strings.NewReader("lo"), []string{tusVersion, offsetBytes, "Upload-Offset: 3", "Upload-Length: 6"}, http.StatusBadRequest)
	for range 2 {
		ask(t, http.MethodPatch, url, strings.NewReader("lo"), []string{tusVersion, offsetBytes, "Upload-Offset: 3", "Upload-Length: 5"}, http.StatusNoContent)
	}
	if file := ask(t, http.MethodGet, url, nil, nil, http.StatusOK).Body; string(file) != "hello" {
		t.Errorf("the file is %q", file)
	}
}
