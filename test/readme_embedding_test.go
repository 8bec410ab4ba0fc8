package test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/test/ports"
)

// The program of the README that embeds holdfast is built as it is, but for its address. It
// takes an upload and is notified of it.
func TestReadmeEmbedsHoldfast(t *testing.T) {
	t.Parallel()
	addr, err := ports.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	binary := buildInModule(t, dir, strings.Replace(readmeBlock(t, "go", "func main"), `":8080"`, `"`+addr+`"`, 1))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	program := exec.CommandContext(ctx, binary)
	program.Dir = dir
	stderr, err := program.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = program.Wait()
	}()
	eventually(t, 30*time.Second, "the program serves", func() bool {
		resp, err := http.Get("http://" + addr + "/files/")
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil
	})
	content := NewContent(33, 100_000)
	ask(t, http.MethodPut, "http://"+addr+"/files/holiday", content.Part(content.All()), nil, http.StatusCreated)
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if strings.Contains(lines.Text(), "holiday has 100000 bytes") {
			return
		}
	}
	t.Error("OnFinish was not called")
}

// buildInModule builds the source of a program as a package of this module, in dir.
func buildInModule(t *testing.T, dir, source string) (binary string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	main, overlay := filepath.Join(dir, "main.go"), filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, "embedded", "main.go"): main}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{main: []byte(source), overlay: text} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary = filepath.Join(dir, "embedded")
	build := exec.Command("go", "build", "-overlay", overlay, "-o", binary, "./embedded")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}
