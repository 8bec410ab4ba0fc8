package test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The image is built from what .dockerignore lets through: every folder with a package
// that the command imports, and the files of the module's root.
func TestTheImageIsBuiltFromAllPackages(t *testing.T) {
	t.Parallel()
	ignore, err := os.ReadFile("../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(ignore), "\n")
	out, err := exec.Command("go", "list", "-deps", "../cmd/holdfast").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.Lines(string(out)) {
		within, ours := relative(strings.TrimSpace(path))
		if !ours {
			continue
		}
		folder, _, _ := strings.Cut(within, "/")
		if folder == "" {
			folder = "*.go"
		}
		if !slices.Contains(lines, "!"+folder) {
			t.Errorf(".dockerignore leaves out %s, which the command imports", folder)
		}
	}
}
