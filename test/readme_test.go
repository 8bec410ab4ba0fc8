package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What the README has a newcomer type has to work as it stands there, but for
// the address of the server.
func TestReadmeUploadsInPiecesWithCurlAlone(t *testing.T) {
	t.Parallel()
	var script string
	for _, block := range readmeBlocks(t, "sh") {
		if strings.Contains(block, "split") {
			script = block
		}
	}
	const address = "http://localhost:8080/"
	if !strings.Contains(script, address) {
		t.Fatalf("the README has no script that uploads to %s", address)
	}
	s := start(t)
	script = strings.ReplaceAll(script, address, "http://"+s.Addr+"/")
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	sums := regexp.MustCompile(`(?m)^[0-9a-f]{64}\b`).FindAllString(string(out), -1)
	if len(sums) != 2 || sums[0] != sums[1] {
		t.Errorf("the sums of what was sent and what came back: %v\n%s", sums, out)
	}
	if !strings.Contains(string(out), `"missing":["40000000-79999999"]`) {
		t.Errorf("the state in between does not say what is missing:\n%s", out)
	}
}

// The README shows a scrape, and what it prints after one upload.
func TestReadmeShowsWhatAScrapePrints(t *testing.T) {
	t.Parallel()
	found := regexp.MustCompile("(?s)```sh\n([^`]*/metrics[^`]*)```\n\n```text\n([^`]*)```").FindStringSubmatch(documents(t))
	const address = "http://localhost:9090/"
	if found == nil || !strings.Contains(found[1], address) {
		t.Fatalf("the README has no scrape of %s", address)
	}
	s, admin := startAdmin(t)
	putAs(t, s.URL("photo"), "hello", "bytes 0-4/5", http.StatusCreated)
	script := strings.ReplaceAll(found[1], address, admin+"/")
	out, err := exec.Command("bash", "-euo", "pipefail", "-c", script).CombinedOutput()
	if err != nil || string(out) != found[2] {
		t.Errorf("%v: the scrape prints\n%swhile the README has\n%s", err, out, found[2])
	}
}

// documents returns the README, CONTRIBUTING and the pages in docs.
func documents(t *testing.T) string {
	t.Helper()
	paths, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, path := range append([]string{"../README.md", "../CONTRIBUTING.md"}, paths...) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// readmeBlocks returns the blocks of a language in the documents.
func readmeBlocks(t *testing.T, language string) []string {
	t.Helper()
	var blocks []string
	for _, block := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(documents(t), -1) {
		blocks = append(blocks, block[1])
	}
	return blocks
}

// The hook that the README shows is, to the last key, the one that is sent for the
// upload that it shows.
func TestReadmeShowsTheHookThatIsSent(t *testing.T) {
	t.Parallel()
	var shown, sent map[string]any
	for _, block := range readmeBlocks(t, "json") {
		if strings.Contains(block, "post-finish") {
			if err := json.Unmarshal([]byte(block), &shown); err != nil {
				t.Fatal(err)
			}
		}
	}
	bodies := make(chan []byte, 1)
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- body
	}))
	defer app.Close()
	s := start(t, "--hook-url", app.URL)
	ask(t, http.MethodPut, s.URL("holiday"), strings.NewReader("video"), []string{"Content-Type: video/mp4"}, http.StatusCreated)
	if err := json.Unmarshal(<-bodies, &sent); err != nil {
		t.Fatal(err)
	}
	if got, want := shapeOf(sent), shapeOf(shown); !slices.Equal(got, want) {
		t.Errorf("sent is\n%s\nshown is\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// shapeOf is what a JSON object consists of: the path and the type of each value, but
// for the headers of a request, and the values that the README's upload fixes.
func shapeOf(v any) []string {
	var out []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				if key != "Header" {
					walk(path+"."+key, value)
				}
			}
		case float64:
			out = append(out, path+" is a number")
		case string:
			if strings.HasSuffix(path, "Path") || strings.HasSuffix(path, "CRC32C") || strings.HasSuffix(path, "RemoteAddr") {
				v = "a text"
			}
			out = append(out, path+" is "+v)
		default:
			out = append(out, fmt.Sprintf("%s is %v", path, v))
		}
	}
	walk("", v)
	slices.Sort(out)
	return out
}

// The piece of a receiver in the README is one of the receiver that is tested.
func TestReadmeVerifiesHooksAsTheExampleDoes(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile("../hooks/webhook/example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	words := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	found := false
	for _, block := range readmeBlocks(t, "go") {
		found = found || strings.Contains(words(string(example)), words(block))
	}
	if !found {
		t.Error("no Go in the README is that of the example")
	}
}

// What the README has a newcomer type about hooks works: a secret that it makes is
// one, and holdfast deliveries asks the listener that was opened.
func TestReadmeSetsUpHooks(t *testing.T) {
	t.Parallel()
	var script string
	for _, block := range readmeBlocks(t, "sh") {
		if strings.Contains(block, "HOOK_SECRET") {
			script = block
		}
	}
	if script == "" {
		t.Fatal("the README sets no secret")
	}
	dir := t.TempDir()
	if err := os.Symlink(holdfast, dir+"/holdfast"); err != nil {
		t.Fatal(err)
	}
	script = strings.Replace(script, "holdfast --hook-url", "timeout 5 holdfast --listen 127.0.0.1:0 --shutdown-timeout 1s --hook-url", 1)
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	out, _ := cmd.CombinedOutput() // timeout ends it
	if !strings.Contains(string(out), "listening") || strings.Contains(string(out), "not signed") {
		t.Errorf("%s", out)
	}
}
