package test

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// crcOf is the CRC32C of a content, in base64.
func crcOf(t *testing.T, c Content) string {
	t.Helper()
	h := crc32.New(crc32c.Table)
	if _, err := io.Copy(h, c.Part(c.All())); err != nil {
		t.Fatal(err)
	}
	return crc32c.Sum(h.Sum32()).String()
}

// wantChecksum demands that every answer about a finished file has its CRC32C, and its
// SHA-256 where sha says so.
func wantChecksum(t *testing.T, url string, content Content, sha bool) {
	t.Helper()
	crc, field, sum := crcOf(t, content), "", ""
	if sha {
		sum = content.Sum()
		field = "sha-256=:" + sumIn64(content.Bytes(content.All()))["sha-256"] + ":, "
	}
	field += "crc32c=:" + crc + ":"
	want := "Want-Repr-Digest: crc32c=1, sha-512=9, sha-256=3"
	for _, a := range []Answer{
		ask(t, http.MethodHead, url, nil, []string{want}, 200),
		ask(t, http.MethodHead, url, nil, []string{want, tusVersion}, 200),
		ask(t, http.MethodGet, url, nil, []string{want, "Range: bytes=0-0"}, 200, 206, 416),
	} {
		if got := a.Header.Get("Repr-Digest"); got != field && a.Status != 416 {
			t.Errorf("Repr-Digest is %q, want %q", got, field)
		}
	}
	for _, unwanted := range []string{"Want-Repr-Digest: crc32c=0, sha-256=0", "Want-Repr-Digest: sha-512=1", "Want-Repr-Digest: =", "X: y"} {
		if got := ask(t, http.MethodHead, url, nil, []string{unwanted}, 200).Header.Get("Repr-Digest"); got != "" {
			t.Errorf("%s is answered %q", unwanted, got)
		}
	}
	wantSums(t, ask(t, http.MethodGet, url+"?state", nil, nil, 200).Body, crc, sum)
}

// wantSums demands that the JSON about a finished file has these checksums.
func wantSums(t *testing.T, text []byte, crc, sha string) {
	t.Helper()
	var sums struct{ CRC32C, SHA256 string }
	if err := json.Unmarshal(text, &sums); err != nil || sums.CRC32C != crc || sums.SHA256 != sha {
		t.Errorf("checksums %+v, want %s and %q (%v): %s", sums, crc, sha, err, text)
	}
}

// The checksum of the whole is known without reading anything again, in whatever order
// chunks came, twice, over each other, while the server was killed.
func TestF30ChecksumOfAFileIsKnownHoweverItsChunksCame(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *Server) {
		content := NewContent(31, 40*mib+12345)
		var all []ranges.Range
		for _, size := range []int64{7 * mib, 11*mib + 1} {
			all = append(all, content.Chunks(size)...)
		}
		all = append(all, all[:5]...)
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		c := newClient(s, "shuffled", content)
		for i, r := range all {
			a := put(t, c, r, 201, 202)
			if i == len(all)/2 {
				restart(t, s)
			}
			if a.Status == http.StatusCreated {
				wantSums(t, a.Body, crcOf(t, content), "")
			} else if strings.Contains(string(a.Body), "crc32c") {
				t.Errorf("an unfinished upload has a checksum: %s", a.Body)
			}
		}
		wantChecksum(t, c.URL, content, false)
		restart(t, s)
		wantChecksum(t, c.URL, content, false)
		wantFile(t, c.URL, content)
	})
}

func TestF30ChecksumIsKnownOfFilesOfEverySize(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *Server) {
		for i, size := range []int64{0, 1, 100 * kib, 5 * mib, 17 * mib} {
			content := NewContent(uint64(32+i), size)
			c := newClient(s, fmt.Sprintf("whole-%d", size), content)
			a := ask(t, http.MethodPut, c.URL, content.Part(content.All()), nil, http.StatusCreated)
			wantSums(t, a.Body, crcOf(t, content), "")
			wantChecksum(t, c.URL, content, false)
			// By tus, with a length that is declared at the end, in two pieces.
			url := createTus(t, s, -1, "Upload-Defer-Length: 1")
			patch(t, url, content, ranges.Of(0, size/2), http.StatusNoContent)
			last := patchRequest(t.Context(), url, content, ranges.Range{Start: size / 2, End: size})
			last.Header.Set("Upload-Offset", fmt.Sprint(size/2))
			last.Header.Set("Upload-Length", fmt.Sprint(size))
			if a, err := Do(http.DefaultClient, last); err != nil || a.Status != http.StatusNoContent {
				t.Fatalf("%d, %v: %s", a.Status, err, a.Body)
			}
			wantChecksum(t, url, content, false)
		}
	})
}

// The checksum of a concatenation is that of its parts, one after the other.
func TestF30ChecksumOfAConcatenationIsKnown(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *Server) {
		content := NewContent(33, 22*mib)
		for _, cuts := range [][]int64{{6 * mib, 16 * mib}, {100, 6 * mib}, {6 * mib, 6 * mib}} {
			var parts []string
			from := int64(0)
			for _, to := range append(cuts, content.Size) {
				part := createTus(t, s, to-from, "Upload-Concat: partial")
				if to > from {
					req := patchRequest(t.Context(), part, content, ranges.Range{Start: from, End: to})
					req.Header.Set("Upload-Offset", "0")
					if a, err := Do(http.DefaultClient, req); err != nil || a.Status != http.StatusNoContent {
						t.Fatalf("%d, %v: %s", a.Status, err, a.Body)
					}
				}
				parts = append(parts, part)
				from = to
			}
			whole := createTus(t, s, -1, "Upload-Concat: final;"+strings.Join(parts, " "))
			wantChecksum(t, whole, content, false)
			restart(t, s)
			wantChecksum(t, whole, content, false)
			wantFile(t, whole, content)
		}
	})
}

// The SHA-256 of a file that came in one body with it is known, and the app receives it.
func TestF30SHA256OfAFileIsKnownIfItsClientGaveItInOneRequest(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	var mu sync.Mutex
	places := map[string]map[string]string{}
	app.Be(func(h Hook) Mood {
		mu.Lock()
		defer mu.Unlock()
		if h.Type == "post-finish" {
			places[h.Event.Upload.ID] = h.Event.Upload.Storage
		}
		return Takes
	})
	onEachStore(t, func(t *testing.T, s *Server) {
		for i, size := range []int64{0, 100 * kib, 20 * mib} {
			content := NewContent(uint64(40+i), size)
			sum := sumIn64(content.Bytes(content.All()))["sha-256"]
			c := newClient(s, fmt.Sprintf("%s-%d", strings.ToLower(t.Name()[len(t.Name())-2:]), size), content)
			for _, field := range []string{"Content-Digest: sha-256=:" + sum + ":", "Content-Digest: sha-256=:" + sum + ":"} { // again, it is the same
				a := ask(t, http.MethodPut, c.URL, content.Part(content.All()), []string{field}, http.StatusCreated)
				wantSums(t, a.Body, crcOf(t, content), content.Sum())
			}
			wantChecksum(t, c.URL, content, true)
			eventually(t, 30*time.Second, "the app receives it", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return places[idOf(c.URL)] != nil
			})
			mu.Lock()
			place := places[idOf(c.URL)]
			mu.Unlock()
			if place["CRC32C"] != crcOf(t, content) || place["SHA256"] != content.Sum() {
				t.Errorf("the app received %v", place)
			}
			restart(t, s)
			wantChecksum(t, c.URL, content, true)

			tus := ask(t, http.MethodPost, s.URL(""), content.Part(content.All()), []string{tusVersion, offsetBytes,
				fmt.Sprintf("Upload-Length: %d", size), "Upload-Checksum: sha256 " + sum}, http.StatusCreated)
			wantChecksum(t, tus.Header.Get("Location"), content, true)
		}
	}, hookFlags(app)...)
}
