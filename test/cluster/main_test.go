// Package cluster drives several real nodes over one S3 and one Redis server,
// behind a balancer that sends every request to another of them: what must hold
// when nodes, Redis and single S3 requests are lost while clients go on.
//
// Tests that prove a row of the table of known failures carry its number.
package cluster

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/test/servers"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// holdfast is the binary under test.
var holdfast string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "holdfast-cluster")
	if err == nil {
		defer os.RemoveAll(dir)
		holdfast = filepath.Join(dir, "holdfast")
		err = build()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	os.Setenv("AWS_ACCESS_KEY_ID", servers.AccessKey)
	os.Setenv("AWS_SECRET_ACCESS_KEY", servers.SecretKey)
	return m.Run()
}

// build builds the nodes' binary, and looks at every source file, so that go test
// takes no old result for that of a changed server.
func build() error {
	cmd := exec.Command("go", "build", "-o", holdfast, "github.com/holdfast-upload/holdfast/cmd/holdfast")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the binary: %w\n%s", err, out)
	}
	return filepath.WalkDir(filepath.Join("..", ".."), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git"):
			return fs.SkipDir
		case strings.HasSuffix(path, ".go"), strings.HasSuffix(path, ".mod"):
			_, err = os.Stat(path)
		}
		return err
	})
}
