package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func TestBillNamesWhatIsLinked(t *testing.T) {
	var out, again bytes.Buffer
	for _, w := range []*bytes.Buffer{&out, &again} {
		if err := run([]string{"v1.2.3", os.Args[0]}, w); err != nil { // this test, a Go program
			t.Fatal(err)
		}
	}
	var b bill
	if err := json.Unmarshal(out.Bytes(), &b); err != nil || !bytes.Equal(out.Bytes(), again.Bytes()) {
		t.Fatalf("%v\n%s\n%s", err, out.Bytes(), again.Bytes())
	}
	if got := b.Metadata.Component; got.Version != "v1.2.3" || !strings.HasPrefix(got.PackageURL, "pkg:golang/github.com/holdfast-upload/holdfast@v1.2.3") {
		t.Errorf("the program is %+v", got)
	}
	if len(b.Components) == 0 || b.Components[0].Name != "std" {
		t.Errorf("the components are %+v", b.Components)
	}
}

func TestWhatIsNoProgramIsAnError(t *testing.T) {
	if err := run([]string{"v1", "main.go"}, new(bytes.Buffer)); err == nil {
		t.Error("no error")
	}
}
