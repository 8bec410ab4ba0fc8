package test

import (
	"os/exec"
	"strings"
	"testing"
)

// The commands in the document of the IETF protocol print what it says.
func TestReadmeIETFCommandsWork(t *testing.T) {
	t.Parallel()
	const address = "http://localhost:8080/"
	s := start(t)
	scripts := map[string]string{"Upload-Complete: ?0": "hello, world", "curl -sv": "HTTP/1.1 104"}
	for _, block := range readmeBlocks(t, "sh") {
		for has, want := range scripts {
			if !strings.Contains(block, has) || !strings.Contains(block, address) {
				continue
			}
			cmd := exec.Command("bash", "-euo", "pipefail", "-c", strings.ReplaceAll(block, address, "http://"+s.Addr+"/"))
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%v\n%s\nprints no %q:\n%s", err, block, want, out)
			}
			delete(scripts, has)
		}
	}
	for has := range scripts {
		t.Errorf("no document has a script with %q", has)
	}
}
