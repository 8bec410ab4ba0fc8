package test

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
	"unicode"
)

// retiredWords are not used in this project: in names, comments, messages and documents
// there is a better known word for each, which the glossary lists.
var retiredWords = []string{
	"door", "doors", "owed", "obey", "obeys", "parcel", "lest", "whoever", "unhurried", "amend", "amends", "amended",
	"settle", "settles", "settled", "hurry", "bell", "tails", "urgent", "insist", "insists", "anew",
	"told", "tell", "tells", "telling", "heard", "hear", "hears", "seen", "meant", "park", "parked", "pulse", "claimed", "noted",
	"hide", "silent", "patient", "wish", "wishes", "somebody", "nobody", "he", "his", "him",
}

// wordExceptions are the files in which a word has its ordinary meaning.
var wordExceptions = map[string][]string{
	"test/words_test.go":         retiredWords,
	"config/keytemplate.go":      {"nobody"}, // a name in keys
	"config/keytemplate_test.go": {"nobody"},
	"test/resume_test.go":        {"he"},   // bytes of an upload
	"config/completion.go":       {"seen"}, // in the name of a function of fish
	"config/completion_test.go":  {"seen"},
}

var (
	lowerToUpper = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	upperToWord  = regexp.MustCompile(`([A-Z])([A-Z][a-z])`)
	wordPattern  = regexp.MustCompile(`[A-Za-z]+`)
)

// wordsOf splits a text, and the names in it, into lower-case words.
func wordsOf(text string) []string {
	split := upperToWord.ReplaceAllString(lowerToUpper.ReplaceAllString(text, "$1 $2"), "$1 $2")
	return wordPattern.FindAllString(strings.ToLower(split), -1)
}

// goText is what a Go file says: its names, its comments and its strings.
func goText(t *testing.T, path string) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, group := range file.Comments {
		b.WriteString(group.Text())
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			b.WriteString(n.Name + " ")
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				b.WriteString(n.Value + " ")
			}
		}
		return true
	})
	return b.String()
}

func TestRetiredWordsAreNotUsed(t *testing.T) {
	t.Parallel()
	retired := map[string]bool{}
	for _, word := range retiredWords {
		retired[word] = true
	}
	files := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(path), "../")
		if d.IsDir() && len(name) > 1 && (name[0] == '.' && unicode.IsLetter(rune(name[1])) || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		var text string
		switch {
		case strings.HasSuffix(name, ".go"):
			text = goText(t, path)
		case strings.HasSuffix(name, ".md"):
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = string(content)
		default:
			return nil
		}
		files++
		found := map[string]int{}
		for _, word := range wordsOf(text) {
			if retired[word] {
				found[word]++
			}
		}
		for _, word := range wordExceptions[name] {
			delete(found, word)
		}
		for word, n := range found {
			t.Errorf("%s uses %q %d times", name, word, n)
		}
		return nil
	})
	if err != nil || files < 100 {
		t.Errorf("%d files were read, %v", files, err)
	}
}

// The test finds a retired word wherever it stands.
func TestRetiredWordsAreFound(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"it is owed", "isOwed", "OwedCount", "Lest it"} {
		found := false
		for _, word := range wordsOf(text) {
			found = found || word == "owed" || word == "lest"
		}
		if !found {
			t.Errorf("%q: %v", text, wordsOf(text))
		}
	}
}
