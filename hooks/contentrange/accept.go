package contentrange

import (
	"mime"
	"strconv"
	"strings"
)

// mediaRange is an element of an Accept header: a type and its weight.
type mediaRange struct {
	typ string
	q   float64
}

// prefersJSON reports whether an Accept header gives application/json a higher weight than
// any other of its media ranges gives a file of the given type (RFC 9110, section 12.5.1).
// So "application/json, */*", which HTTP libraries send by default, selects the file, and
// "application/json" alone does not, even if the file is JSON.
func prefersJSON(accept []string, file string) bool {
	var json float64
	var others []mediaRange
	for item := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		switch m, ok := parseMediaRange(item); {
		case !ok:
		case m.typ == "application/json":
			json = max(json, m.q)
		default:
			others = append(others, m)
		}
	}
	return json > quality(others, file)
}

func parseMediaRange(item string) (mediaRange, bool) {
	typ, params, err := mime.ParseMediaType(item)
	if err != nil {
		return mediaRange{}, false
	}
	q, ok := params["q"]
	if !ok {
		return mediaRange{typ, 1}, true
	}
	n, err := strconv.ParseFloat(q, 64)
	return mediaRange{typ, n}, err == nil
}

// quality returns the weight of the most specific media range that matches the type, 0 if
// none does.
func quality(accept []mediaRange, typ string) (q float64) {
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
