package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/test"
)

// script is what two nodes must do on every S3 server: each step with files of its own.
type script struct {
	*testing.T
	nodes []*test.Server
}

// pair starts two nodes with the given arguments.
func pair(t *testing.T, args ...string) *script {
	t.Helper()
	s := &script{T: t}
	for range 2 {
		node := &test.Server{Bin: holdfast, Data: filepath.Join(t.TempDir(), "unused"), Args: args}
		if err := node.Start(); err != nil {
			t.Fatal(err)
		}
		s.nodes = append(s.nodes, node)
		t.Cleanup(func() {
			node.Kill()
			if crash := node.Crash(); crash != "" {
				t.Errorf("a node crashed:\n%s", crash)
			}
			if t.Failed() {
				t.Logf("the troubles in the log:\n%s", troubles(node.Log(), 3000))
			}
		})
	}
	return s
}

// run runs all steps.
func (s *script) run() {
	s.shuffled("shuffled", test.NewContent(1, 33*mib), 11*mib)
	s.shuffled("small", test.NewContent(2, 1000), 1000)
	s.shuffled("empty", test.NewContent(3, 0), 1)
	s.tus(test.NewContent(4, 20*mib), false)
	s.tus(test.NewContent(5, 17*mib), true)
	s.concatenated(6*mib, 5*mib, mib)
	s.deleted()
	s.oneOfTwo()
}

// do makes a request until it is answered with something other than "come back".
func (s *script) do(node int, method, id string, body io.ReadSeeker, header ...string) test.Answer {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 2*time.Minute)
	defer cancel()
	for {
		var in io.Reader
		if body != nil {
			_, _ = body.Seek(0, io.SeekStart) // never fails
			in = io.NopCloser(body)
		}
		req := mustRequest(s.T, method, s.nodes[node].URL(id), in, header...).WithContext(ctx)
		if body != nil {
			req.ContentLength, _ = body.Seek(0, io.SeekEnd)
			_, _ = body.Seek(0, io.SeekStart)
		}
		answer, err := test.Do(http.DefaultClient, req)
		if err == nil && !comeBack(answer.Status) {
			return answer
		}
		if pause(ctx) != nil {
			s.Fatalf("%s %s: status %d, %v: %s", method, id, answer.Status, err, answer.Body)
		}
	}
}

// want demands the status of an answer.
func (s *script) want(what string, answer test.Answer, status ...int) {
	s.Helper()
	if !slices.Contains(status, answer.Status) {
		s.Fatalf("%s: status %d, want %v: %s", what, answer.Status, status, answer.Body)
	}
}

// shuffled sends the chunks of a file by PUT, the last first, to the nodes in turn.
func (s *script) shuffled(id string, content test.Content, chunk int64) {
	s.Helper()
	chunks := content.Chunks(chunk)
	slices.Reverse(chunks)
	for i, r := range chunks {
		answer := s.do(i%2, http.MethodPut, id, content.Part(r), "Content-Range", test.ContentRange(r, content.Size))
		s.want("a chunk of "+id, answer, http.StatusOK, http.StatusCreated, http.StatusAccepted)
	}
	if len(chunks) == 0 {
		s.want("an empty file", s.do(0, http.MethodPut, id, content.Part(content.All())), http.StatusCreated)
	}
	s.wantFile(id, content)
}

// wantFile demands that both nodes have the file, and a range of it.
func (s *script) wantFile(id string, content test.Content) {
	s.Helper()
	for node := range s.nodes {
		answer := s.do(node, http.MethodGet, id, nil)
		s.want("the file "+id, answer, http.StatusOK)
		if !bytes.Equal(answer.Body, content.Bytes(content.All())) {
			s.Fatalf("the file %s has %d other bytes", id, len(answer.Body))
		}
	}
	if content.Size < 200 {
		return
	}
	part := s.do(0, http.MethodGet, id, nil, "Range", "bytes=100-199")
	s.want("a range of "+id, part, http.StatusPartialContent)
	if !bytes.Equal(part.Body, content.Bytes(ranges.Of(100, 100))) {
		s.Errorf("a range of %s has %d other bytes", id, len(part.Body))
	}
}

// patch sends a chunk by tus and returns the offset after it.
func (s *script) patch(node int, id string, content test.Content, r ranges.Range, header ...string) {
	s.Helper()
	header = append(header, "Tus-Resumable", "1.0.0", "Upload-Offset", fmt.Sprint(r.Start), "Content-Type", "application/offset+octet-stream")
	answer := s.do(node, http.MethodPatch, id, content.Part(r), header...)
	s.want("a PATCH of "+id, answer, http.StatusNoContent)
	if offset := answer.Header.Get("Upload-Offset"); offset != fmt.Sprint(r.End) {
		s.Fatalf("the offset of %s is %s after %v", id, offset, r)
	}
}

// create creates an upload by tus and returns its id.
func (s *script) create(header ...string) string {
	s.Helper()
	answer := s.do(0, http.MethodPost, "", nil, append(header, "Tus-Resumable", "1.0.0")...)
	s.want("a creation", answer, http.StatusCreated)
	at := answer.Header.Get("Location")
	return at[strings.LastIndex(at, "/")+1:]
}

// tus sends a file by tus to one node, which is killed, and the rest to the other. If
// deferred, its size is declared with the last chunk.
func (s *script) tus(content test.Content, deferred bool) {
	s.Helper()
	size := []string{"Upload-Length", fmt.Sprint(content.Size)}
	id := ""
	if deferred {
		id = s.create("Upload-Defer-Length", "1")
	} else {
		id = s.create(size...)
		size = nil
	}
	first := content.Size - 2*mib + 5
	s.patch(0, id, content, ranges.Of(0, first))
	s.nodes[0].Kill()
	head := s.do(1, http.MethodHead, id, nil, "Tus-Resumable", "1.0.0")
	if offset := head.Header.Get("Upload-Offset"); offset != fmt.Sprint(first) {
		s.Fatalf("the other node has %s of %d bytes", offset, first)
	}
	s.patch(1, id, content, ranges.Range{Start: first, End: content.Size}, size...)
	if err := s.nodes[0].Start(); err != nil {
		s.Fatal(err)
	}
	s.wantFile(id, content)
}

// concatenated concatenates files of different sizes.
func (s *script) concatenated(sizes ...int64) {
	s.Helper()
	var all int64
	for _, n := range sizes {
		all += n
	}
	content, parts, offset := test.NewContent(6, all), "", int64(0)
	for i, n := range sizes {
		id := s.create("Upload-Concat", "partial", "Upload-Length", fmt.Sprint(n))
		part := content.Bytes(ranges.Of(offset, n))
		answer := s.do(i%2, http.MethodPatch, id, bytes.NewReader(part), "Tus-Resumable", "1.0.0", "Upload-Offset", "0", "Content-Type", "application/offset+octet-stream")
		s.want("a part", answer, http.StatusNoContent)
		parts += " /files/" + id
		offset += n
	}
	s.wantFile(s.create("Upload-Concat", "final;"+parts[1:]), content)
}

// deleted deletes a finished file and one that is incomplete.
func (s *script) deleted() {
	s.Helper()
	content := test.NewContent(7, 20*mib)
	incomplete := s.create("Upload-Length", fmt.Sprint(content.Size))
	s.patch(0, incomplete, content, ranges.Of(0, 17*mib))
	for _, id := range []string{"small", "shuffled", incomplete} {
		s.want("DELETE "+id, s.do(1, http.MethodDelete, id, nil, "Tus-Resumable", "1.0.0"), http.StatusNoContent)
		for node := range s.nodes {
			s.want("GET after DELETE", s.do(node, http.MethodGet, id, nil), http.StatusNotFound, http.StatusGone)
		}
	}
}

// oneOfTwo sends different files under one id, at once to both nodes. Each file that is
// acknowledged is there.
func (s *script) oneOfTwo() {
	s.Helper()
	for round := range 5 {
		id := fmt.Sprint("contested-", round)
		contents := []test.Content{test.NewContent(8, 50*kib), test.NewContent(9, 50*kib)}
		acknowledged := make([]bool, 2)
		var clients sync.WaitGroup
		for i, content := range contents {
			clients.Go(func() {
				req := mustRequest(s.T, http.MethodPut, s.nodes[i].URL(id), content.Part(content.All()))
				req.ContentLength = content.Size
				answer, err := test.Do(http.DefaultClient, req)
				acknowledged[i] = err == nil && answer.Status == http.StatusCreated
			})
		}
		clients.Wait()
		for i, ok := range acknowledged {
			if ok {
				s.wantFile(id, contents[i])
			}
		}
	}
}
