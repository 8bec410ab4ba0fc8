package config

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestKeyTemplateNamesFiles(t *testing.T) {
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

func TestKeyTemplateRefusesWhatWouldNameTwoFilesAlike(t *testing.T) {
	for _, text := range []string{"{filename}", "videos", "{id}/{size}", "{id}{", "{id}}", "{}{id}", "{ID}"} {
		var template KeyTemplate
		if err := template.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestKeyTemplateKeepsNamesShort(t *testing.T) {
	key := KeyTemplate("{id}/{filename}").Key(File{ID: "x1", Name: strings.Repeat("ä", 500) + ".mp4"})
	if len(key) > 4+maxSegment || !utf8.ValidString(key) {
		t.Errorf("a key of %d bytes, valid %v", len(key), utf8.ValidString(key))
	}
}
