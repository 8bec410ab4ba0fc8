package contentrange

import (
	"mime"
	"strconv"
	"strings"
)

// accepted is one media range of an Accept header.
type accepted struct {
	typ string
	q   float64
}

// prefersJSON reports whether an Accept names application/json, and does not like a file
// of the given type as much by another of its media ranges (RFC 9110, section 12.5.1). So
// "application/json, */*" is for the file: HTTP libraries send it by themselves. And
// "application/json" is not, even if the file is JSON.
func prefersJSON(accept []string, file string) bool {
	var json float64
	var others []accepted
	for item := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		switch a, ok := parseAccepted(item); {
		case !ok:
		case a.typ == "application/json":
			json = max(json, a.q)
		default:
			others = append(others, a)
		}
	}
	return json > quality(others, file)
}

func parseAccepted(item string) (accepted, bool) {
	typ, params, err := mime.ParseMediaType(item)
	if err != nil {
		return accepted{}, false
	}
	q, ok := params["q"]
	if !ok {
		return accepted{typ, 1}, true
	}
	n, err := strconv.ParseFloat(q, 64)
	return accepted{typ, n}, err == nil
}

// quality is that of the most specific media range that matches the type, 0 if none does.
func quality(accept []accepted, typ string) (q float64) {
	typ, _, _ = strings.Cut(strings.ToLower(typ), ";")
	kind, _, _ := strings.Cut(typ, "/")
	for _, media := range []string{typ, kind + "/*", "*/*", "*"} {
		for _, a := range accept {
			if a.typ == media {
				return a.q
			}
		}
	}
	return 0
}
