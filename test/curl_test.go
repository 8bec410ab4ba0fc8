package test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// curl runs curl in a directory and demands the status that it gets.
func curl(t *testing.T, dir string, want int, args ...string) Answer {
	t.Helper()
	var stdout, stderr bytes.Buffer
	body := filepath.Join(t.TempDir(), "body")
	cmd := exec.CommandContext(t.Context(), "curl", append([]string{"-sS", "-w", "%{http_code}", "-o", body}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("curl %v: %v\n%s", args, err, stderr.Bytes())
	}
	text, _ := os.ReadFile(body) // there is none if the answer had no body
	if got := stdout.String(); got != fmt.Sprint(want) {
		t.Fatalf("curl %v: status %s, want %d: %s", args, got, want, text)
	}
	return Answer{Status: want, Body: text}
}

// wantDownload downloads with curl and demands that the file is the content.
func wantDownload(t *testing.T, url string, content Content) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "download")
	if out, err := exec.Command("curl", "-sSf", "-o", path, url).CombinedOutput(); err != nil {
		t.Fatalf("download: %v\n%s", err, out)
	}
	wantSum(t, path, content)
}

func wantSum(t *testing.T, path string, content Content) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if sum, n, err := Sum(f); err != nil || sum != content.Sum() {
		t.Errorf("%s: %d bytes that are not those sent (%v)", path, n, err)
	}
}

var curlContent = NewContent(50, 12*mib+345)

func TestCurlSendsChunksOutOfOrder(t *testing.T) {
	t.Parallel()
	s := start(t)
	ways := map[string][]string{
		"-T":             {"-T"},
		"--data-binary":  {"-X", "PUT", "--data-binary"},
		"HTTP/2":         {"--http2-prior-knowledge", "-T"},
		"without Expect": {"-H", "Expect:", "-T"},
		"chunked":        {"-H", "Transfer-Encoding: chunked", "-T"},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			dir, url := t.TempDir(), s.URL("curl-"+fmt.Sprint(len(name)))
			chunks := curlContent.Chunks(5 * mib)
			for i, n := range []int{2, 0, 0, 1} {
				r := chunks[n]
				if err := os.WriteFile(filepath.Join(dir, "chunk"), curlContent.Bytes(r), 0o600); err != nil {
					t.Fatal(err)
				}
				path := "chunk"
				if strings.Contains(name, "data") {
					path = "@chunk"
				}
				want := http.StatusAccepted
				if i == 3 {
					want = http.StatusCreated
				}
				args := append([]string{"-H", "Content-Range: " + ContentRange(r, curlContent.Size)}, way...)
				curl(t, dir, want, append(args, path, url)...)
			}
			wantDownload(t, url, curlContent)
		})
	}
}

func TestCurlUploadsAFile(t *testing.T) {
	t.Parallel()
	s := start(t)
	path := file(t, curlContent)
	dir := filepath.Dir(path)
	t.Run("to a URL of its own", func(t *testing.T) {
		curl(t, dir, http.StatusCreated, "-T", "video.mp4", s.URL("curl-T"))
		wantDownload(t, s.URL("curl-T"), curlContent)
	})
	t.Run("to the collection, under its name", func(t *testing.T) {
		curl(t, dir, http.StatusCreated, "-T", "video.mp4", s.URL(""))
		wantDownload(t, s.URL("video.mp4"), curlContent)
	})
	t.Run("from an offset on", func(t *testing.T) {
		c := newClient(s, "curl-C", curlContent)
		put(t, c, ranges.Of(0, 5*mib), http.StatusAccepted)
		curl(t, dir, http.StatusCreated, "-C", fmt.Sprint(5*mib), "-T", "video.mp4", c.URL)
		wantDownload(t, c.URL, curlContent)
	})
	t.Run("from an offset on, before the rest", func(t *testing.T) {
		c := newClient(s, "curl-C-first", curlContent)
		curl(t, dir, http.StatusAccepted, "-C", fmt.Sprint(5*mib), "-T", "video.mp4", c.URL)
		put(t, c, ranges.Of(0, 5*mib), http.StatusCreated)
		wantDownload(t, c.URL, curlContent)
	})
	t.Run("with -C -, which sends all", func(t *testing.T) {
		c := newClient(s, "curl-C-dash", curlContent)
		put(t, c, ranges.Of(0, 5*mib), http.StatusAccepted)
		curl(t, dir, http.StatusCreated, "-C", "-", "-T", "video.mp4", c.URL)
		wantDownload(t, c.URL, curlContent)
	})
	t.Run("an empty one", func(t *testing.T) {
		curl(t, dir, http.StatusCreated, "-T", "/dev/null", s.URL("curl-empty"))
		wantDownload(t, s.URL("curl-empty"), NewContent(0, 0))
	})
}

func TestCurlUploadsFromAPipe(t *testing.T) {
	t.Parallel()
	s := start(t)
	dir := filepath.Dir(file(t, curlContent))
	pipe := func(t *testing.T, args string) string {
		t.Helper()
		cmd := exec.Command("sh", "-c", `cat video.mp4 | curl -sS -o /dev/null -w '%{http_code}' `+args)
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	if got := pipe(t, "-T - "+s.URL("pipe")); got != "201" {
		t.Fatalf("status %s", got)
	}
	wantDownload(t, s.URL("pipe"), curlContent)

	// With an offset curl sends "bytes 100-98/99": it cannot know the length.
	c := newClient(s, "pipe-offset", curlContent)
	put(t, c, ranges.Of(0, 100), http.StatusAccepted)
	if got := pipe(t, "-C 100 -T - "+c.URL); got != "400" {
		t.Errorf("a range that curl made up is answered %s", got)
	}
	put(t, c, ranges.Range{Start: 100, End: curlContent.Size}, http.StatusCreated)
	wantDownload(t, c.URL, curlContent)
}

func TestCurlGoesOnWhereItWasInterrupted(t *testing.T) {
	t.Parallel()
	s := start(t)
	path := file(t, curlContent)
	url := s.URL("interrupted")
	proxy := proxied(t, s, func() Cut { return Cut{After: 7 * mib} })
	cut := exec.Command("curl", "-sS", "-C", "0", "-T", path, "-H", "Content-Range: "+ContentRange(curlContent.All(), curlContent.Size),
		"http://"+proxy.Addr+"/files/interrupted")
	if out, err := cut.CombinedOutput(); err == nil {
		t.Fatalf("the connection was not cut: %s", out)
	}
	proxy.Close()
	var offset int64
	eventually(t, 30*time.Second, "what came is kept", func() bool {
		_, offset = head(t, url, http.StatusOK)
		return offset > 6*mib
	})
	curl(t, filepath.Dir(path), http.StatusCreated, "-C", fmt.Sprint(offset), "-T", path, url)
	wantDownload(t, url, curlContent)
}

func TestCurlGoesOnWithAnInterruptedDownload(t *testing.T) {
	t.Parallel()
	s := start(t)
	put(t, newClient(s, "resumed.bin", curlContent), curlContent.All(), http.StatusCreated)
	dir := t.TempDir()
	path := filepath.Join(dir, "resumed.bin")
	if err := os.WriteFile(path, curlContent.Bytes(ranges.Of(0, 7*mib)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("curl", "-sSf", "-C", "-", "-O", s.URL("resumed.bin"))
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	wantSum(t, path, curlContent)
}
