package test

import (
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// What the README tells a newcomer to type has to work as it stands there, but for
// the address of the server.
func TestReadmeUploadsInPiecesWithCurlAlone(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var script string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(readme), -1) {
		if strings.Contains(block[1], "split") {
			script = block[1]
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
		t.Errorf("the state in between does not tell what is missing:\n%s", out)
	}
}

// The README shows a scrape, and what it prints after one upload.
func TestReadmeShowsWhatAScrapePrints(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```sh\n([^`]*/metrics[^`]*)```\n\n```text\n([^`]*)```").FindStringSubmatch(string(readme))
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
