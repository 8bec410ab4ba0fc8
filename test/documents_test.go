package test

import (
	"bytes"
	"flag"
	"io"
	"os"
	"testing"

	"github.com/holdfast-upload/holdfast/config"
	"github.com/holdfast-upload/holdfast/storage/instrument"
)

var update = flag.Bool("update", false, "write the generated documents")

// Generated pages are what the code would generate now; -update writes them.
func TestGeneratedDocumentsAreCurrent(t *testing.T) {
	for path, write := range map[string]func(io.Writer) error{
		"../docs/configuration.md": config.WriteMarkdown,
		"../docs/metrics.md":       instrument.WriteMarkdown,
		"../docs/failures.md":      func(w io.Writer) error { return writeFailures(w, "..") },
	} {
		var want bytes.Buffer
		if err := write(&want); err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s is out of date: go test ./test -run Documents -update (%v)", path, err)
		}
	}
}
