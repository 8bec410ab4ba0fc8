package protocol

import (
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Filename returns the name of the file in the Content-Disposition of a request, "" if it
// has none. Some browser uploaders send JavaScript's encodeURI of the name: a name that is
// exactly that of another one is decoded. The extended form, filename*, is never decoded
// twice.
func Filename(h http.Header) string {
	disposition := h.Get("Content-Disposition")
	_, params, err := mime.ParseMediaType(disposition)
	if err != nil {
		return ""
	}
	if strings.Contains(strings.ToLower(disposition), "filename*") {
		return params["filename"]
	}
	return decodeURI(params["filename"])
}

// decodeURI returns the name of which name is the encodeURI, or name itself if there is none.
func decodeURI(name string) string {
	plain, err := url.PathUnescape(name)
	if err != nil || !utf8.ValidString(plain) || encodeURI(plain) != name {
		return name
	}
	return plain
}

// encodeURI escapes s as JavaScript's encodeURI does (ECMA-262, section 19.2.6.4).
func encodeURI(s string) string {
	const kept = ";/?:@&=+$,#-_.!~*'()"
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte(kept, c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteString(string([]byte{'%', hex[c>>4], hex[c&15]}))
		}
	}
	return b.String()
}
