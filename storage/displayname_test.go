package storage_test

import (
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
)

func TestDisplayNameHidesNothing(t *testing.T) {
	for sent, want := range map[string]string{
		"video.mp4":                "video.mp4",
		"../../etc/passwd":         "passwd",
		`..\..\windows\system.ini`: "system.ini",
		"holiday/2030/photo.jpg":   "photo.jpg",
		"..":                       "",
		"../":                      "",
		"...":                      "",
		".htaccess":                ".htaccess",
		"a\r\nSet-Cookie: b\x00.c": "aSet-Cookie: b.c",
		"photo\u202egpj.exe":       "photogpj.exe",
		"\u2066a\u2069\u200fb.txt": "ab.txt",
		"\u061c\u200e":             "",
		"a\u2028b\u2029c\u0085d":   "abcd",
		"späte Grüße 🎬.mov":        "späte Grüße 🎬.mov",
		"שלום.txt":                 "שלום.txt",
		" spaced .txt ":            "spaced .txt",
		"sp\xe4t.mp4":              "sp\xe4t.mp4",
		"":                         "",
	} {
		rec := storage.Record{Metadata: storage.Metadata{"filename": sent}}
		if got := rec.DisplayName(); got != want {
			t.Errorf("%q: %q, want %q", sent, got, want)
		}
		if rec.Filename() != sent {
			t.Errorf("%q: the metadata were changed", sent)
		}
	}
}
