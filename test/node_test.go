package test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
)

// eachByNode gives texts, as a JSON array, to a script in a directory, and returns what it
// prints: an array of as many values.
func eachByNode[T any](t *testing.T, dir, script string, texts []string) (values []T) {
	t.Helper()
	in, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", script)
	cmd.Dir, cmd.Stdin, cmd.Stderr = dir, bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &values); err != nil || len(values) != len(texts) {
		t.Fatalf("%v: %s", err, out)
	}
	return values
}
