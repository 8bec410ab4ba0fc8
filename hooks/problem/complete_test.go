package problem

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// internal are the errors that no request fails with.
var internal = map[string]string{
	"storage.ErrRejected":      "of a delivery",
	"storage.ErrNotPending":    "of the admin API, which has its own responses",
	"storage.ErrNoDeliverer":   "of the admin API, which has its own responses",
	"storage.ErrCompleting":    "of stores, to the core",
	"limits.ErrQuotaExhausted": "of a Counter; it becomes ErrRateLimited",
}

// An error without a row would be a 500.
func TestEveryErrorOfTheCoreAndTheHooksHasARow(t *testing.T) {
	table, err := os.ReadFile("table.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for name := range exportedErrors(t, "../../storage", "..") {
		n++
		_, isInternal := internal[name]
		row := regexp.MustCompile(`\{` + strings.TrimPrefix(regexp.QuoteMeta(name), "problem\\.") + `, http\.Status`)
		if !row.Match(table) && !isInternal {
			t.Errorf("%s has no row in table.go", name)
		}
	}
	if n < 25 {
		t.Errorf("only %d errors were found", n)
	}
}

// exportedErrors returns the exported error variables of the packages below the directories,
// as package.Name. The drivers of the core, whose errors it wraps, are left out.
func exportedErrors(t *testing.T, dirs ...string) map[string]bool {
	found := map[string]bool{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && path != dir && dir == "../../storage" {
				return filepath.SkipDir
			}
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err == nil {
				addErrors(found, file)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func addErrors(found map[string]bool, file *ast.File) {
	for name, object := range file.Scope.Objects {
		if object.Kind == ast.Var && strings.HasPrefix(name, "Err") {
			found[file.Name.Name+"."+name] = true
		}
	}
}
