package commands_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast"
	"github.com/holdfast-upload/holdfast/cmd/holdfast/internal/commands"
	"github.com/holdfast-upload/holdfast/config"
	"github.com/holdfast-upload/holdfast/hooks/auth"
)

// newServer starts a server, and returns its collection and its admin address.
func newServer(t *testing.T, opts holdfast.Options) (collection, admin string) {
	t.Helper()
	opts.Log = slog.New(slog.DiscardHandler)
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	handler, err := holdfast.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	server, adminServer := httptest.NewServer(handler), httptest.NewServer(handler.AdminHandler())
	t.Cleanup(func() {
		server.Close()
		adminServer.Close()
		_ = handler.Shutdown(t.Context())
	})
	return server.URL + "/files/", strings.TrimPrefix(adminServer.URL, "http://")
}

// result is what a command has printed, and its exit code.
type result struct {
	stdout, stderr string
	code           int
}

// runCommand runs a command line.
func runCommand(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	command, err := config.Parse(args, config.Env{Getenv: os.LookupEnv, Stdout: new(bytes.Buffer)})
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	var stdout, stderr bytes.Buffer
	ok, err := commands.Run(t.Context(), command, commands.IO{Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr})
	if !ok {
		t.Fatalf("%q is no command", args)
	}
	if err != nil {
		stderr.WriteString(err.Error())
	}
	return result{stdout.String(), stderr.String(), commands.ExitCode(err)}
}

func (r result) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(r.stdout+r.stderr, text) {
			t.Errorf("%q is not printed", text)
		}
	}
	if r.code != code || t.Failed() {
		t.Fatalf("exit code %d, want %d\n%s\n%s", r.code, code, r.stdout, r.stderr)
	}
}

func randomFile(t *testing.T, path string, n int) {
	t.Helper()
	content := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(content) // never fails
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAFileIsUploadedShownDownloadedAndDeleted(t *testing.T) {
	url, _ := newServer(t, holdfast.Options{})
	dir := t.TempDir()
	path, back := filepath.Join(dir, "video.mp4"), filepath.Join(dir, "back.mp4")
	randomFile(t, path, 3<<20)
	runCommand(t, "", "upload", path, url+"holiday").want(t, 0, url+"holiday, 3.0 MiB, same checksum")
	runCommand(t, "", "status", url+"holiday").want(t, 0, "3.0 MiB, complete, CRC32C ")
	runCommand(t, "", "download", "-o", back, url+"holiday").want(t, 0, "same checksum")
	sent, _ := os.ReadFile(path)
	got, err := os.ReadFile(back)
	if err != nil || !bytes.Equal(sent, got) {
		t.Errorf("%d bytes are downloaded that are not the %d sent (%v)", len(got), len(sent), err)
	}
	runCommand(t, "", "rm", url+"holiday").want(t, 0, "deleted")
	runCommand(t, "", "status", url+"holiday").want(t, 1, "410 Gone")
}

func TestDirectoriesAndStandardInputAreUploaded(t *testing.T) {
	url, _ := newServer(t, holdfast.Options{})
	dir := filepath.Join(t.TempDir(), "album")
	for i, name := range []string{"one.jpg", "sub/two.jpg", "sub/empty"} {
		randomFile(t, filepath.Join(dir, name), 1000*(2-i))
	}
	out := runCommand(t, "", "upload", "--json", dir, strings.TrimSuffix(url, "/"))
	out.want(t, 0)
	found := map[string]int64{}
	for dec := json.NewDecoder(strings.NewReader(out.stdout)); dec.More(); {
		var line struct {
			Event, File string
			Size        int64
			Verified    bool
		}
		if err := dec.Decode(&line); err != nil || line.Event != "complete" || !line.Verified {
			t.Fatalf("%+v, %v", line, err)
		}
		found[line.File] = line.Size
	}
	if len(found) != 3 || found["album/one.jpg"] != 2000 || found["album/sub/two.jpg"] != 1000 {
		t.Errorf("%v", found)
	}
	runCommand(t, "from a pipe", "upload", "-", url+"pipe").want(t, 0, "11 B")
	runCommand(t, "", "download", "-o", "-", url+"pipe").want(t, 0, "from a pipe")
}

func TestExitCodesSayWhatHappened(t *testing.T) {
	url, _ := newServer(t, holdfast.Options{Auth: auth.Options{JWTSecrets: []string{strings.Repeat("s", 32)}}})
	open, _ := newServer(t, holdfast.Options{})
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	defer down.Close()
	dir := t.TempDir()
	path, other := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	randomFile(t, path, 2000)
	randomFile(t, other, 2001)
	runCommand(t, "", "upload", path, open+"taken").want(t, 0)
	for name, c := range map[string]struct {
		code int
		text string
		args []string
	}{
		"no token":         {1, "a token is required", []string{path, url + "x"}},
		"no such file":     {1, "no such file", []string{filepath.Join(dir, "none"), open}},
		"no uploads there": {1, "404", []string{path, strings.TrimSuffix(open, "files/") + "elsewhere/"}},
		"another file":     {4, "differs", []string{other, open + "taken"}},
		"gave up":          {3, "gave up after", []string{"--give-up-after", "200ms", path, down.URL + "/files/"}},
	} {
		got := runCommand(t, "", append([]string{"upload"}, c.args...)...)
		if got.code != c.code || !strings.Contains(got.stderr, c.text) {
			t.Errorf("%s: exit code %d, want %d: %s", name, got.code, c.code, got.stderr)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	command := config.Command{Name: "upload", Upload: config.Upload{Protocol: "auto", Parallel: 1, Args: []string{path, open}}}
	if _, err := commands.Run(ctx, command, commands.IO{Stdout: new(bytes.Buffer), Stderr: new(bytes.Buffer)}); commands.ExitCode(err) != 130 {
		t.Errorf("an interrupted upload: %v", err)
	}
}

// putFive sends five bytes of an upload of the given size.
func putFive(t *testing.T, url string, size, want int) {
	t.Helper()
	r, _ := http.NewRequest(http.MethodPut, url, strings.NewReader("12345"))
	r.Header.Set("Content-Range", fmt.Sprintf("bytes 0-4/%d", size))
	r.Header.Set("Content-Disposition", `attachment; filename="`+path.Base(url)+`.mp4"`)
	resp, err := http.DefaultClient.Do(r)
	if err != nil || resp.StatusCode != want {
		t.Fatal(resp, err)
	}
	_ = resp.Body.Close()
}

func TestLsShowsUploadsInEachState(t *testing.T) {
	dir := t.TempDir()
	url, admin := newServer(t, holdfast.Options{Dir: dir})
	putFive(t, url+"half", 10, http.StatusAccepted)
	runCommand(t, "", "ls", "--admin-listen", admin).want(t, 0, "half  incomplete  5 B (50 %)  10 B", "half.mp4")
	runCommand(t, "", "ls", "--json", "--admin-listen", admin).want(t, 0, `"id":"half"`, `"received":5`)
	putFive(t, url+"whole", 5, http.StatusCreated)
	got := runCommand(t, "", "ls", "--admin-listen", admin)
	if strings.Contains(got.stdout, "whole") {
		t.Errorf("without --all: %s", got.stdout)
	}
	runCommand(t, "", "ls", "--all", "--admin-listen", admin).want(t, 0, "half   incomplete  5 B (50 %)   10 B", "whole  finished    5 B (100 %)  5 B")
	if err := os.Remove(filepath.Join(dir, "whole")); err != nil {
		t.Fatal(err)
	}
	runCommand(t, "", "ls", "-a", "--admin-listen", admin).want(t, 0, "whole  file-missing  5 B (100 %)  5 B")
	runCommand(t, "", "status", "--json", url+"half").want(t, 0, `"received":["0-4"]`, `"complete":false`)
}

func TestTheTokenComesFromTheEnvironmentOrAFile(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization") + r.Header.Get("X-Key")
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	runCommand(t, "", "status", "--token-file", file, "--header", "X-Key: k", server.URL+"/x")
	if got != "Bearer from-filek" {
		t.Errorf("%q", got)
	}
	t.Setenv("HOLDFAST_TOKEN", "from-env")
	runCommand(t, "", "status", server.URL+"/x")
	if got != "Bearer from-env" {
		t.Errorf("%q", got)
	}
}
