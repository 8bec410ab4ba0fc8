package test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// gRPC is megabytes for one POST. With templates a program keeps every exported method of
// every type, because a template may call it.
func TestTheBinaryHasNeitherGRPCNorTemplates(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "../cmd/holdfast").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Fields(string(out))
	for _, unwanted := range []string{"google.golang.org/grpc", "text/template", "html/template"} {
		if slices.Contains(packages, unwanted) {
			t.Errorf("cmd/holdfast imports %s", unwanted)
		}
	}
}
