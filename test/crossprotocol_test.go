package test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func TestAnUploadBegunByTusIsWatchedAndFinishedByContentRange(t *testing.T) {
	t.Parallel()
	s := start(t)
	url := createTus(t, s, small.Size, "Upload-Metadata: filename dmlkZW8ubXA0,filetype dmlkZW8vbXA0")
	patch(t, url, small, ranges.Of(0, 300), http.StatusNoContent)

	state := status(t, url)
	if state.ID != idOf(url) || state.Offset != 300 || !slices.Equal(state.Missing, []string{"300-999"}) {
		t.Errorf("GET returns %+v", state)
	}
	for _, fields := range [][]string{nil, {tusVersion}} {
		a := ask(t, http.MethodHead, url, nil, fields, http.StatusOK)
		if a.Header.Get("Upload-Offset") != "300" || a.Header.Get("Upload-Length") != "1000" {
			t.Errorf("HEAD with %v returns %v", fields, a.Header)
		}
	}

	c := newClient(s, idOf(url), small)
	put(t, c, ranges.Of(900, 100), http.StatusAccepted)
	wantRange(t, put(t, c, ranges.Of(300, 100), http.StatusAccepted), 400, 1000)
	final := put(t, c, ranges.Of(400, 500), http.StatusCreated)
	wantDone(t, final, c)
	if final.State.Name != "video.mp4" {
		t.Errorf("the name that tus gave is lost: %s", final.Body)
	}
	if _, offset := head(t, url, http.StatusOK); offset != small.Size {
		t.Errorf("tus gets offset %d after the end", offset)
	}
	wantFile(t, url, small)
	wantOneEvent(t, s, idOf(url), "created")
	wantOneEvent(t, s, idOf(url), "finished")
	file := ask(t, http.MethodGet, url, nil, nil, http.StatusOK)
	if got := file.Header.Get("Content-Type"); got != "video/mp4" {
		t.Errorf("the file is served as %q", got)
	}
	if got := file.Header.Get("Content-Disposition"); !strings.Contains(got, "video.mp4") {
		t.Errorf("Content-Disposition is %q", got)
	}
}

func TestAnUploadBegunByContentRangeIsWatchedAndFinishedByTus(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newClient(s, "begun-by-put", small)
	put(t, c, smallChunk[0], http.StatusAccepted)
	put(t, c, smallChunk[5], http.StatusAccepted)
	if _, offset := head(t, c.URL, http.StatusOK); offset != 100 {
		t.Errorf("tus gets offset %d, 100 bytes are there from the first on", offset)
	}
	a := patch(t, c.URL, small, ranges.Of(100, 400), http.StatusNoContent)
	if got := a.Header.Get("Upload-Offset"); got != "600" {
		t.Errorf("after the gap is filled, Upload-Offset is %s, want 600", got)
	}
	patch(t, c.URL, small, ranges.Of(600, 400), http.StatusNoContent)
	wantFile(t, c.URL, small)
	wantOneEvent(t, s, "begun-by-put", "finished")
	wantDone(t, put(t, c, smallChunk[3], http.StatusCreated), c)
}

func TestATusClientMaySendAgainWhatCameByTheOtherProtocol(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newClient(s, "both-ways", small)
	put(t, c, smallChunk[4], http.StatusAccepted)
	patch(t, c.URL, small, small.All(), http.StatusNoContent)
	wantFile(t, c.URL, small)
}

func TestALengthDeferredByOneProtocolIsDeclaredByTheOther(t *testing.T) {
	t.Parallel()
	s := start(t)
	t.Run("deferred by tus", func(t *testing.T) {
		url := createTus(t, s, -1, "Upload-Defer-Length: 1")
		patch(t, url, small, ranges.Of(0, 300), http.StatusNoContent)
		c := newClient(s, idOf(url), small)
		put(t, c, ranges.Of(500, 500), http.StatusAccepted)
		a, _ := head(t, url, http.StatusOK)
		if a.Header.Get("Upload-Length") != "1000" || a.Header.Get("Upload-Defer-Length") != "" {
			t.Errorf("HEAD returns %v", a.Header)
		}
		patch(t, url, small, ranges.Of(300, 200), http.StatusNoContent)
		wantFile(t, url, small)
	})
	t.Run("left open by Content-Range", func(t *testing.T) {
		url := s.URL("left-open")
		putAs(t, url, string(small.Bytes(ranges.Of(0, 300))), "bytes 0-299/*", http.StatusAccepted)
		a, offset := head(t, url, http.StatusOK)
		if a.Header.Get("Upload-Defer-Length") != "1" || offset != 300 {
			t.Errorf("HEAD returns %v", a.Header)
		}
		req := patchRequest(t.Context(), url, small, ranges.Range{Start: 300, End: 1000})
		req.Header.Set("Upload-Length", "1000")
		if answer, err := Do(http.DefaultClient, req); err != nil || answer.Status != http.StatusNoContent {
			t.Fatalf("PATCH: %d %s (%v)", answer.Status, answer.Body, err)
		}
		wantFile(t, url, small)
	})
}

func TestEitherProtocolDeletesWhatTheOtherMade(t *testing.T) {
	t.Parallel()
	s := start(t)
	url := createTus(t, s, small.Size)
	patch(t, url, small, ranges.Of(0, 300), http.StatusNoContent)
	ask(t, http.MethodDelete, url, nil, nil, http.StatusNoContent)
	head(t, url, http.StatusNotFound)
	wantNothingOf(t, s, idOf(url))

	c := newClient(s, "made-by-put", small)
	put(t, c, smallChunk[0], http.StatusAccepted)
	remove(t, s, "made-by-put") // with the headers of tus
}

func TestAFinishedFileIsServedInPartsAndOnConditions(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newClient(s, "download", small)
	put(t, c, small.All(), http.StatusCreated)
	whole := ask(t, http.MethodGet, c.URL, nil, nil, http.StatusOK)
	tag := whole.Header.Get("ETag")
	part := func(first, last int) string {
		return string(small.Bytes(ranges.Range{Start: int64(first), End: int64(last) + 1}))
	}
	tests := map[string]struct {
		fields []string
		want   int
		body   string
	}{
		"a range":                  {[]string{"Range: bytes=100-199"}, 206, part(100, 199)},
		"the rest":                 {[]string{"Range: bytes=900-"}, 206, part(900, 999)},
		"the end":                  {[]string{"Range: bytes=-1"}, 206, part(999, 999)},
		"beyond the end":           {[]string{"Range: bytes=1000-"}, 416, ""},
		"the same still":           {[]string{"If-None-Match: " + tag}, 304, ""},
		"another one":              {[]string{"If-Match: \"other\""}, 412, ""},
		"a range if the same":      {[]string{"Range: bytes=0-9", "If-Range: " + tag}, 206, part(0, 9)},
		"all if it is not":         {[]string{"Range: bytes=0-9", "If-Range: \"other\""}, 200, part(0, 999)},
		"a range that is nonsense": {[]string{"Range: bytes=b-a"}, 416, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a, err := Do(http.DefaultClient, request(t, http.MethodGet, c.URL, nil, tt.fields...))
			if err != nil || a.Status != tt.want {
				t.Fatalf("status %d (%v), want %d", a.Status, err, tt.want)
			}
			if tt.want < 300 && string(a.Body) != tt.body {
				t.Errorf("got %d bytes, not those asked for", len(a.Body))
			}
		})
	}
	a := ask(t, http.MethodHead, c.URL, nil, nil, http.StatusOK)
	if a.Header.Get("Content-Length") != fmt.Sprint(small.Size) || a.Header.Get("ETag") != tag {
		t.Errorf("HEAD of a finished upload returns %v", a.Header)
	}
}
