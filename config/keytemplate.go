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

// placeholders are what may stand in a template, and what for, but for names.
var placeholders = map[string]func(File) string{
	"{id}":    func(f File) string { return f.ID },
	"{ext}":   func(f File) string { return extension(f.Name) },
	"{year}":  func(f File) string { return f.Creation.UTC().Format("2006") },
	"{month}": func(f File) string { return f.Creation.UTC().Format("01") },
	"{day}":   func(f File) string { return f.Creation.UTC().Format("02") },
}

// namePlaceholders are those for what others have named, which may be of any length, and
// is shortened so that it fits.
var namePlaceholders = map[string]func(File) string{
	"{filename}": func(f File) string {
		return printable(firstNonEmpty(path.Base("/"+strings.ReplaceAll(f.Name, `\`, "/")), "/", f.ID))
	},
	"{owner}": func(f File) string { return printable(firstNonEmpty(f.Owner, "", "nobody")) },
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *KeyTemplate) UnmarshalText(text []byte) error {
	for _, found := range placeholder.FindAllString(string(text), -1) {
		if placeholders[found] == nil && namePlaceholders[found] == nil {
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
// the segment of the key in which its placeholder stands, and no segment is made longer
// by it than a file's name may be.
func (t KeyTemplate) Key(f File) string {
	segments := strings.Split(string(t), "/")
	for i, segment := range segments {
		segments[i] = fill(segment, f)
	}
	return strings.Join(segments, "/")
}

const (
	// maxName is how many bytes of a name are taken into a key.
	maxName = 200
	// maxSegment is how many bytes a segment of a key may have, as a file's name.
	maxSegment = 255
)

// fill is a segment of a template for a file. The names in it share what the rest leaves.
func fill(segment string, f File) string {
	names := 0
	rest := replace(segment, func(found string) string {
		if namePlaceholders[found] != nil {
			names++
			return ""
		}
		return placeholders[found](f)
	})
	return replace(segment, func(found string) string {
		if name := namePlaceholders[found]; name != nil {
			return shorten(name(f), min(maxName, max(0, maxSegment-len(rest))/names))
		}
		return placeholders[found](f)
	})
}

func replace(segment string, with func(found string) string) string {
	return placeholder.ReplaceAllStringFunc(segment, with)
}

// printable is text as a part of a segment of a key: without what separates segments, or
// makes one hidden, or can't be printed.
func printable(text string) string {
	clean := strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || !unicode.IsPrint(r) || r == utf8.RuneError {
			return '_'
		}
		return r
	}, text)
	if strings.HasPrefix(clean, ".") {
		clean = "_" + clean[1:]
	}
	return clean
}

// shorten is as many whole characters of text as most bytes have room for.
func shorten(text string, most int) string {
	for len(text) > most {
		_, last := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-last]
	}
	return text
}

var plainExtension = regexp.MustCompile(`^\.[A-Za-z0-9]{1,10}$`)

func extension(name string) string {
	if ext := path.Ext(name); plainExtension.MatchString(ext) {
		return strings.ToLower(ext)
	}
	return ""
}

func firstNonEmpty(text, none, instead string) string {
	if text == none {
		return instead
	}
	return text
}
