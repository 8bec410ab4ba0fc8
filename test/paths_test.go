package test

import (
	"os"
	"regexp"
	"testing"
)

// goFile is a path of a source file, as documents name it.
var goFile = regexp.MustCompile("`([a-z0-9/_]+\\.go)`")

// Who follows a document into the code must arrive.
func TestFilesThatDocumentsNameExist(t *testing.T) {
	t.Parallel()
	for _, document := range []string{"CONTRIBUTING.md", "README.md", "SECURITY.md"} {
		text, err := os.ReadFile("../" + document)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range goFile.FindAllSubmatch(text, -1) {
			path := string(found[1])
			if _, err := os.Stat("../" + path); err != nil {
				t.Errorf("%s names %s: %v", document, path, err)
			}
		}
	}
}
