package config

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestKeyTemplateReturnsTheKeysOfFiles(t *testing.T) {
	at := time.Date(2026, 3, 9, 23, 30, 0, 0, time.FixedZone("west", -3600))
	for _, c := range []struct {
		template, name, owner, want string
	}{
		{"", "a.mp4", "ann", ""},
		{"{id}", "a.mp4", "ann", "x1"},
		{"videos/{year}/{month}/{day}/{id}{ext}", "Holiday.MP4", "", "videos/2026/03/10/x1.mp4"},
		{"{owner}/{id}/{filename}", "späť (1).mp4", "ann", "ann/x1/späť (1).mp4"},
		{"{owner}/{id}/{filename}", "", "", "nobody/x1/x1"},
		{"{owner}/{id}/{filename}", "../../etc/passwd", "../root", "_._root/x1/passwd"},
		{"{id}/{filename}", `C:\videos\a.mp4`, "", "x1/a.mp4"},
		{"{id}/{filename}", "..", "", "x1/_."},
		{"{id}/{filename}", "a\r\nb\x00\xff", "", "x1/a__b__"},
		{"{id}{ext}", "a.tar.gz", "", "x1.gz"},
		{"{id}{ext}", "a.../../b", "", "x1"},
		{"{id}{ext}", "a.{id}", "", "x1"},
		{"{id}-{filename}", "{owner}", "ann", "x1-{owner}"},
	} {
		var template KeyTemplate
		if err := template.UnmarshalText([]byte(c.template)); err != nil {
			t.Errorf("%q: %v", c.template, err)
		}
		if got := template.Key(File{ID: "x1", Name: c.name, Owner: c.owner, Creation: at}); got != c.want {
			t.Errorf("%q of %q: %q, want %q", c.template, c.name, got, c.want)
		}
	}
}

func TestKeyTemplateRequiresTheID(t *testing.T) {
	for _, text := range []string{"{filename}", "videos", "{id}/{size}", "{id}{", "{id}}", "{}{id}", "{ID}"} {
		var template KeyTemplate
		if err := template.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

// A file name has at most 255 bytes, and the id in it is never shortened.
func TestKeyTemplateLimitsTheLengthOfSegments(t *testing.T) {
	id := strings.Repeat("i", 128)
	for template, want := range map[string]int{ // bytes of the longest segment
		"{id}/{filename}":                                maxName,
		"{filename}-{id}":                                255,
		"{id}{ext}-{filename}":                           255,
		"v/{filename}{filename}{id}/x":                   254, // the two share the room
		"{owner}-{filename}-{id}{ext}":                   254,
		strings.Repeat("v", 127) + "{id}":                255,
		strings.Repeat("v", 126) + "{owner}{id}":         255,
		"{filename}" + strings.Repeat("v", 127) + "{id}": 255,
	} {
		for _, letter := range []string{"n", "ä", "日", "\U0001F600"} {
			name := strings.Repeat(letter, 300)
			key := KeyTemplate(template).Key(File{ID: id, Name: name + ".mp4", Owner: name})
			longest := 0
			for segment := range strings.SplitSeq(key, "/") {
				longest = max(longest, len(segment))
			}
			if longest > want || letter == "n" && longest < want || !utf8.ValidString(key) || !strings.Contains(key, id) {
				t.Errorf("%.40q of %q: a segment of %d bytes, want %d: %q", template, letter, longest, want, key)
			}
		}
	}
}
