package holdfast

import (
	"os/exec"
	"strings"
	"testing"
)

// An embedder gets neither the AWS SDK, nor Redis, nor Prometheus, nor gRPC, unless it
// imports the packages that need them.
func TestThePackageDependsOnNoService(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []string{"aws", "redis", "prometheus", "grpc", "protobuf"} {
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, of) {
				t.Errorf("imports %s", strings.TrimSpace(line))
			}
		}
	}
}

func TestTheZeroOptionsWork(t *testing.T) {
	t.Chdir(t.TempDir())
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("ready: %v", err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if err := s.Ready(t.Context()); err == nil {
		t.Error("ready after the shutdown")
	}
}

func TestABasePathWithoutSlashesIsRefused(t *testing.T) {
	for _, path := range []string{"files", "/files", "files/"} {
		if _, err := New(Options{Dir: t.TempDir(), BasePath: path}); err == nil {
			t.Errorf("%s is taken", path)
		}
	}
}
