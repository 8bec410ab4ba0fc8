package test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func TestF16AbandonedUploadsGoWithAllThatBelongsToThem(t *testing.T) {
	t.Parallel()
	s := start(t, "--expire-after", "1h", "--sweep-interval", "200ms")
	keep := newClient(s, "finished", small)
	put(t, keep, small.All(), http.StatusCreated)

	byTus := createTus(t, s, small.Size)
	a := patch(t, byTus, small, ranges.Of(0, 300), http.StatusNoContent)
	wantExpires(t, a.Header.Get("Upload-Expires"))
	a, _ = head(t, byTus, http.StatusOK)
	wantExpires(t, a.Header.Get("Upload-Expires"))

	byPut := newClient(s, "abandoned", small)
	a = put(t, byPut, smallChunk[5], http.StatusAccepted)
	if left := time.Until(a.State.ExpirationDateTime); left < 50*time.Minute || left > time.Hour+time.Second {
		t.Errorf("expirationDateTime is %v from now", left)
	}
	partial := createTus(t, s, 100, "Upload-Concat: partial")
	patch(t, partial, small, ranges.Of(0, 100), http.StatusNoContent)

	s.Args = append(s.Args, "--expire-after", "1s")
	restart(t, s)
	for _, id := range []string{idOf(byTus), "abandoned", idOf(partial)} {
		eventually(t, 30*time.Second, "the files are gone", func() bool { return bytesOf(t, s, id) == 0 })
		wantNothingOf(t, s, id)
		ask(t, http.MethodGet, s.URL(id), nil, nil, http.StatusGone)
		wantOneEvent(t, s, id, "expired")
	}
	wantFile(t, keep.URL, small)
}

func wantExpires(t *testing.T, value string) {
	t.Helper()
	at, err := time.Parse(time.RFC1123, value)
	if left := time.Until(at); err != nil || left < 50*time.Minute || left > time.Hour+time.Second {
		t.Errorf("Upload-Expires is %q", value)
	}
}

// bytesOf is the size of all files of an upload.
func bytesOf(t *testing.T, s *Server, id string) int64 {
	var bytes int64
	for path, size := range listing(t, s.Data) {
		if strings.Contains(path, id) {
			bytes += size
		}
	}
	return bytes
}

func TestF16WhatWasAbandonedBeforeARestartGoesToo(t *testing.T) {
	t.Parallel()
	s := start(t, "--sweep-interval", "200ms")
	put(t, newClient(s, "before", small), smallChunk[5], http.StatusAccepted)
	s.Kill()
	s.Args = append(s.Args, "--expire-after", "1s")
	time.Sleep(1100 * time.Millisecond)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	ask(t, http.MethodGet, s.URL("before"), nil, nil, http.StatusGone)
	eventually(t, 30*time.Second, "the files are gone", func() bool { return bytesOf(t, s, "before") == 0 })
}

func TestF17BytesInFlightAtAShutdownAreStored(t *testing.T) {
	t.Parallel()
	s := start(t, "--shutdown-timeout", "8s")
	content := NewContent(17, mib)
	byTus := createTus(t, s, content.Size)
	patching := dial(t, s.Addr)
	patching.send("PATCH /files/"+idOf(byTus)+" HTTP/1.1", "Host: "+s.Addr, tusVersion, offsetBytes, "Upload-Offset: 0",
		fmt.Sprintf("Content-Length: %d", content.Size), "Expect: 100-continue")
	demand(t, patching.answer(), http.StatusContinue) // the request is being served
	patching.write(string(content.Bytes(ranges.Of(0, content.Size/2))))
	byPut := newClient(s, "shutdown", content)
	putting := dial(t, s.Addr)
	putting.send("PUT /files/shutdown HTTP/1.1", "Host: "+s.Addr, "Content-Range: "+ContentRange(content.All(), content.Size),
		fmt.Sprintf("Content-Length: %d", content.Size), "Expect: 100-continue")
	demand(t, putting.answer(), http.StatusContinue)
	putting.write(string(content.Bytes(ranges.Of(0, content.Size/2))))
	time.Sleep(100 * time.Millisecond)

	began := time.Now()
	if err := s.Terminate(20 * time.Second); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 13*time.Second {
		t.Errorf("the shutdown took %v, 8 s are allowed", took)
	}
	for name, w := range map[string]*wire{"PATCH": patching, "PUT": putting} {
		if a := w.answer(); a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
			t.Errorf("the %s that was cut off gets %d, Retry-After %q", name, a.Status, a.Header.Get("Retry-After"))
		}
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{byTus, byPut.URL} {
		if _, offset := head(t, url, http.StatusOK); offset != content.Size/2 {
			t.Errorf("%d bytes are there after the restart, %d were sent", offset, content.Size/2)
		}
		finishTus(t, url, content)
		wantFile(t, url, content)
	}
}

func TestF17ARequestThatEndsWithinTheGraceTimeIsAnswered(t *testing.T) {
	t.Parallel()
	s := start(t, "--shutdown-timeout", "20s")
	c := newClient(s, "grace", small)
	put(t, c, ranges.Of(0, 500), http.StatusAccepted)
	finish := slowPut(t, s, c, ranges.Of(500, 500))
	var leaving sync.WaitGroup
	leaving.Go(func() {
		if err := s.Terminate(10 * time.Second); err != nil {
			t.Error(err)
		}
	})
	eventually(t, 30*time.Second, "new connections are refused", func() bool {
		_, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request(t, http.MethodGet, s.URL("grace"), nil))
		return err != nil
	})
	wantDone(t, finish(), c)
	leaving.Wait()
	info, err := os.Stat(filepath.Join(s.Data, "grace"))
	if err != nil || info.Size() != small.Size {
		t.Errorf("the file is not there after the shutdown: %v", err)
	}
}
