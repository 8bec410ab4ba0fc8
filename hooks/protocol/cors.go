package protocol

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rs/cors"
)

// CORS configures which web pages may upload from a browser.
type CORS struct {
	// Origins lists the allowed origins, such as "https://app.example.com"; "*" allows
	// all. An empty list turns CORS off.
	Origins []string
	// Credentials allows cookies. It requires explicit Origins.
	Credentials bool
	// ExposeHeaders are headers of responses that pages may read, besides those that the
	// server sets.
	ExposeHeaders []string
}

const exposeHeaders = "Access-Control-Expose-Headers"

// exposed are the headers that pages may read, also if a response lacks them.
var exposed = []string{
	"Location", "Range", "Content-Range", "Content-Disposition", "Accept-Ranges", "ETag", "Repr-Digest", "Retry-After", "WWW-Authenticate",
	"Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm",
	"Upload-Offset", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata", "Upload-Concat", "Upload-Expires", "X-HTTP-Status-Code-Override",
	"Upload-Complete", "Upload-Incomplete", "Upload-Limit", "Upload-Draft-Interop-Version", "Accept-Patch",
}

// unexposed are headers that pages need not read, or cannot.
var unexposed = []string{
	"Cache-Control", "Connection", "Content-Length", "Content-Security-Policy", "Content-Type", "Cross-Origin-Resource-Policy",
	"Date", "Referrer-Policy", "Set-Cookie", "Strict-Transport-Security", "Vary", "X-Content-Type-Options",
}

// handler returns nil if CORS is off.
func (c CORS) handler() *cors.Cors {
	if len(c.Origins) == 0 {
		return nil
	}
	return cors.New(cors.Options{
		AllowedOrigins:   c.Origins,
		AllowedMethods:   methods,
		AllowedHeaders:   []string{"*"},
		ExposedHeaders:   c.exposed(),
		AllowCredentials: c.Credentials,
		MaxAge:           int((24 * time.Hour).Seconds()),
		// Not 204: some browsers accept only 200 for a preflight request.
		OptionsSuccessStatus: http.StatusOK,
	})
}

func (c CORS) exposed() []string { return append(slices.Clone(exposed), c.ExposeHeaders...) }

// addCORS sets the CORS headers of a response, whatever it will be, so that pages can read
// refusals. It responds to a preflight request.
func (rt *router) addCORS(x *Exchange) {
	if rt.cors == nil {
		return
	}
	r := x.r
	if r.Method != http.MethodOptions {
		as := *r
		as.Method = http.MethodGet // the library has no headers for methods that are not allowed
		r = &as
	}
	rt.cors.HandlerFunc(x, r)
}

// expose lets pages read the headers that are set on a response, by a hook for instance. A
// list that the hook has set itself is added.
func (rt *router) expose(h http.Header) {
	if h.Get("Access-Control-Allow-Origin") == "" || rt.cors == nil {
		return
	}
	names := slices.Clone(rt.exposed)
	add := func(name string) {
		name = strings.TrimSpace(name)
		if name != "" && !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			names = append(names, name)
		}
	}
	for _, list := range h.Values(exposeHeaders) {
		for name := range strings.SplitSeq(list, ",") {
			add(name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if !strings.HasPrefix(name, "Access-Control-") && !slices.Contains(unexposed, name) {
			add(name)
		}
	}
	h.Set(exposeHeaders, strings.Join(names, ", "))
}
