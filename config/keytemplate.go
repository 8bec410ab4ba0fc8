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

// KeyTemplate is the template of the key of a finished file: text with placeholders, such as
// videos/{year}/{id}{ext}. With the zero value the key is the upload's id.
type KeyTemplate string

// File describes a finished upload for a KeyTemplate.
type File struct {
	ID       string
	Name     string // the client's file name, "" if unknown
	Owner    string // "" if there is none
	Creation time.Time
}

var placeholder = regexp.MustCompile(`\{[^{}]*\}?|\}`)

// placeholders are the placeholders of bounded length.
var placeholders = map[string]func(File) string{
	"{id}":    func(f File) string { return f.ID },
	"{ext}":   func(f File) string { return extension(f.Name) },
	"{year}":  func(f File) string { return f.Creation.UTC().Format("2006") },
	"{month}": func(f File) string { return f.Creation.UTC().Format("01") },
	"{day}":   func(f File) string { return f.Creation.UTC().Format("02") },
}

// namePlaceholders are the placeholders for names from clients and tokens. They may have any
// length, and are shortened to fit.
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
		return fmt.Errorf("%q lacks {id}: without it two uploads could have the same key", text)
	}
	*t = KeyTemplate(text)
	return nil
}

// Key returns the key of a file, "" for its id. A name from a client or a token stays within
// the segment of its placeholder, and does not make it longer than a file name may be.
func (t KeyTemplate) Key(f File) string {
	segments := strings.Split(string(t), "/")
	for i, segment := range segments {
		segments[i] = fill(segment, f)
	}
	return strings.Join(segments, "/")
}

// Check returns an error unless valid accepts the template's keys of files with the shortest
// and the longest names, and with ids of 1 and of maxID bytes.
func (t KeyTemplate) Check(maxID int, valid func(key string) error) error {
	id, long, wide := strings.Repeat("i", maxID), strings.Repeat("n", 300), strings.Repeat("\U0001F600", 100)
	for _, f := range []File{
		{ID: "i"}, {ID: "i", Name: "name.mp4", Owner: "owner"},
		{ID: id, Name: long + ".abcdefghij", Owner: long},
		{ID: id, Name: wide + ".abcdefghij", Owner: wide}, // there may be no room even for one character
	} {
		f.Creation = time.Now()
		if err := valid(t.Key(f)); err != nil {
			return err
		}
	}
	return nil
}

// Directory returns the directory of the keys of that time, as far as it is the same for all
// files.
func (t KeyTemplate) Directory(now time.Time) string {
	var dirs []string
	segments := strings.Split(string(t), "/")
	for _, segment := range segments[:len(segments)-1] {
		for _, name := range []string{"{id}", "{ext}", "{filename}", "{owner}"} {
			if strings.Contains(segment, name) {
				return strings.Join(dirs, "/")
			}
		}
		dirs = append(dirs, fill(segment, File{Creation: now}))
	}
	return strings.Join(dirs, "/")
}

const (
	// maxName is the maximum length of a name in a key, in bytes.
	maxName = 200
	// maxSegment is the maximum length of a file name on disk, in bytes.
	maxSegment = 255
)

// fill replaces the placeholders in a segment of a template. Names share the space that the
// rest leaves.
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

// printable replaces slashes, backslashes, unprintable characters and a leading dot, so that
// text neither separates segments nor makes a hidden file.
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

// shorten returns the longest prefix of text with whole characters and at most limit bytes.
func shorten(text string, limit int) string {
	for len(text) > limit {
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

// firstNonEmpty returns text, or fallback if text equals none.
func firstNonEmpty(text, none, fallback string) string {
	if text == none {
		return fallback
	}
	return text
}
