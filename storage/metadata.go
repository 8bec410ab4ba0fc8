package storage

import (
	"mime"
	"path"
	"strings"
	"unicode/utf8"
)

// What a header holds of what clients say of a file is bounded: an S3 takes 2 KB of them
// (Amazon S3 User Guide, "Working with object metadata"), and many a proxy little more.
const (
	maxType      = 255 // bytes
	maxName      = 255 // characters
	maxNameBytes = 330 // each is three at most when it is encoded: 1 KiB with what is around it
	maxExtension = 32  // bytes; what is longer is none
)

// Filename is the name that the client gave the file, "" if none: clients put it
// under "filename" or "name".
func (r Record) Filename() string {
	if name := r.Metadata["filename"]; name != "" {
		return name
	}
	return r.Metadata["name"]
}

// ContentType is the media type that the client gave the file, in its canonical
// form, or application/octet-stream: also instead of one of more than 255 bytes.
func (r Record) ContentType() string {
	for _, key := range []string{"filetype", "type", "contentType"} {
		if typ, params, err := mime.ParseMediaType(r.Metadata[key]); err == nil {
			if clean := mime.FormatMediaType(typ, params); clean != "" && len(clean) <= maxType {
				return clean
			}
		}
	}
	return "application/octet-stream"
}

// Disposition is a Content-Disposition (RFC 6266) that has the file saved, under
// its name if it has one, and never shown: whoever uploaded it must not run scripts
// where it is downloaded from. A long name is cut before its extension, so that the
// whole takes no more than 1 KiB.
func (r Record) Disposition() string {
	if name := r.Filename(); name != "" {
		if d := mime.FormatMediaType("attachment", map[string]string{"filename": shortened(name)}); d != "" {
			return d
		}
	}
	return "attachment"
}

// shortened is a file's name with as much of it before the extension as a header holds.
func shortened(name string) string {
	ext := path.Ext(name)
	if len(ext) > maxExtension {
		ext = ""
	}
	stem := strings.TrimSuffix(name, ext)
	return cut(stem, maxName-utf8.RuneCountInString(ext), maxNameBytes-len(ext)) + ext
}

// cut is the beginning of s that has at most so many characters, whole ones, and bytes.
func cut(s string, characters, bytes int) string {
	for at := 0; at < len(s); characters-- {
		_, n := utf8.DecodeRuneInString(s[at:])
		if characters == 0 || at+n > bytes {
			return s[:at]
		}
		at += n
	}
	return s
}
