package protocol

import (
	"net/url"
	"strings"
)

// WithoutParam returns the query of a URL without the parameters of a name, in any case.
// Other than url.Values it also finds them after a semicolon. It leaves out what is escaped
// wrongly, whose name is not known.
func WithoutParam(query, name string) string {
	var kept strings.Builder
	for separator := ""; query != ""; {
		end := strings.IndexAny(query, "&;")
		if end < 0 {
			end = len(query)
		}
		key, _, _ := strings.Cut(query[:end], "=")
		plain, err := url.QueryUnescape(key)
		if end > 0 && err == nil && !strings.EqualFold(plain, name) {
			if kept.Len() > 0 {
				kept.WriteString(separator)
			}
			kept.WriteString(query[:end])
		}
		if end == len(query) {
			break
		}
		separator, query = query[end:end+1], query[end+1:]
	}
	return kept.String()
}
