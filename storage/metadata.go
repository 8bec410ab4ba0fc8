package storage

import (
	"mime"
	"path"
	"strings"
	"unicode/utf8"
)

// Limits on client metadata in response headers: S3 allows 2 KB of them (Amazon S3 User
// Guide, "Working with object metadata"), and many proxies little more.
const (
	maxType      = 255 // bytes
	maxName      = 255 // characters
	maxNameBytes = 330 // three bytes each when encoded: 1 KiB for the whole header value
	maxExtension = 32  // bytes; anything longer is not treated as an extension
)

// Filename returns the client's name for the file, from the metadata "filename" or
// "name", or "" if there is none.
func (r Record) Filename() string {
	if name := r.Metadata["filename"]; name != "" {
		return name
	}
	return r.Metadata["name"]
}

// ContentType returns the client's media type for the file in canonical form, or
// application/octet-stream if it is missing, invalid or longer than 255 bytes.
func (r Record) ContentType() string {
	for _, key := range []string{"filetype", "type", "contentType"} {
		if typ, params, err := mime.ParseMediaType(r.Metadata[key]); err == nil {
			if canonical := mime.FormatMediaType(typ, params); canonical != "" && len(canonical) <= maxType {
				return canonical
			}
		}
	}
	return "application/octet-stream"
}

// Disposition returns a Content-Disposition (RFC 6266) that makes browsers save the file,
// under its name if it has one, and never display it: uploaded files must not run scripts
// on the origin that serves them. A long name is truncated before its extension, so that
// the value takes no more than 1 KiB.
func (r Record) Disposition() string {
	if name := r.DisplayName(); name != "" {
		if d := mime.FormatMediaType("attachment", map[string]string{"filename": truncateName(name)}); d != "" {
			return d
		}
	}
	return "attachment"
}

// truncateName shortens a file name to the limits of the header, and keeps its extension.
func truncateName(name string) string {
	ext := path.Ext(name)
	if len(ext) > maxExtension {
		ext = ""
	}
	stem := strings.TrimSuffix(name, ext)
	return truncate(stem, maxName-utf8.RuneCountInString(ext), maxNameBytes-len(ext)) + ext
}

// truncate returns the longest prefix of s, in whole characters, within both limits.
func truncate(s string, characters, bytes int) string {
	for at := 0; at < len(s); characters-- {
		_, n := utf8.DecodeRuneInString(s[at:])
		if characters == 0 || at+n > bytes {
			return s[:at]
		}
		at += n
	}
	return s
}
