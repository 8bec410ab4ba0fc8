package storage

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// DisplayName returns Filename as it may be shown and saved: without directories, control
// characters, and characters that change the direction of text, with which "exe.photo" can
// look like "photo.exe". It is "" if nothing remains. The metadata keep the name as it was
// sent.
func (r Record) DisplayName() string {
	name := r.Filename()
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.TrimSpace(withoutInvisible(name))
	if strings.Trim(name, ".") == "" {
		return ""
	}
	return name
}

// withoutInvisible removes characters that are not visible themselves, but change what is.
// Bytes that are not UTF-8 stay.
func withoutInvisible(s string) string {
	var out strings.Builder
	for at := 0; at < len(s); {
		c, n := utf8.DecodeRuneInString(s[at:])
		if !unicode.IsControl(c) && !unicode.Is(unicode.Bidi_Control, c) && c != '\u2028' && c != '\u2029' {
			out.WriteString(s[at : at+n])
		}
		at += n
	}
	return out.String()
}
