package config

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// KeyTemplate is how the finished file of an upload is named in the store: text with
// placeholders such as videos/{year}/{id}{ext}. The zero value names it by its id.
type KeyTemplate string

// File is what a KeyTemplate knows of an upload.
type File struct {
	ID       string
	Name     string // as the client calls it, "" if it does not
	Owner    string // "" if nobody's
	Creation time.Time
}

var placeholder = regexp.MustCompile(`\{[^{}]*\}?|\}`)

// placeholders are what may stand in a template, and what for.
var placeholders = map[string]func(File) string{
	"{id}": func(f File) string { return f.ID },
	"{filename}": func(f File) string {
		return segment(orElse(path.Base("/"+strings.ReplaceAll(f.Name, `\`, "/")), "/", f.ID))
	},
	"{ext}":   func(f File) string { return extension(f.Name) },
	"{owner}": func(f File) string { return segment(orElse(f.Owner, "", "nobody")) },
	"{year}":  func(f File) string { return f.Creation.UTC().Format("2006") },
	"{month}": func(f File) string { return f.Creation.UTC().Format("01") },
	"{day}":   func(f File) string { return f.Creation.UTC().Format("02") },
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *KeyTemplate) UnmarshalText(text []byte) error {
	for _, found := range placeholder.FindAllString(string(text), -1) {
		if placeholders[found] == nil {
			return fmt.Errorf("%q has %q: {id}, {filename}, {ext}, {owner}, {year}, {month} and {day} are allowed", text, found)
		}
	}
	if len(text) > 0 && !strings.Contains(string(text), "{id}") {
		return fmt.Errorf("%q lacks {id}: without it two uploads would have one name", text)
	}
	*t = KeyTemplate(text)
	return nil
}

// Key is the name of a file, "" for its id. What a client or a token says stays within
// the segment of the key in which its placeholder stands.
func (t KeyTemplate) Key(f File) string {
	return placeholder.ReplaceAllStringFunc(string(t), func(found string) string { return placeholders[found](f) })
}

// maxSegment is how many bytes of a name are taken into a key.
const maxSegment = 200

// segment is text as a part of a segment of a key: without what separates segments, or
// makes one hidden, or can't be printed.
func segment(text string) string {
	clean := strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || !unicode.IsPrint(r) || r == utf8.RuneError {
			return '_'
		}
		return r
	}, text)
	for len(clean) > maxSegment {
		_, last := utf8.DecodeLastRuneInString(clean)
		clean = clean[:len(clean)-last]
	}
	if strings.HasPrefix(clean, ".") {
		clean = "_" + clean[1:]
	}
	return clean
}

var plainExtension = regexp.MustCompile(`^\.[A-Za-z0-9]{1,10}$`)

func extension(name string) string {
	if ext := path.Ext(name); plainExtension.MatchString(ext) {
		return strings.ToLower(ext)
	}
	return ""
}

func orElse(text, none, instead string) string {
	if text == none {
		return instead
	}
	return text
}
