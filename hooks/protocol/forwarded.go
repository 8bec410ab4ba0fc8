package protocol

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/holdfast-upload/holdfast/storage"
)

var plainPrefix = regexp.MustCompile(`^(/[A-Za-z0-9_~.-]+)+/?$`)

// forwardedPrefix returns the path that a proxy has removed from the beginning of the
// request's, by X-Forwarded-Prefix, without a "/" at its end. It is "" if there is none, or
// none that can be trusted.
func (u URLs) forwardedPrefix(r *http.Request) string {
	prefix, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Prefix"), ",")
	prefix = strings.TrimSpace(prefix)
	if !u.TrustForwarded || !plainPrefix.MatchString(prefix) || strings.Contains(prefix+"/", "/../") || strings.Contains(prefix+"/", "/./") {
		return ""
	}
	return strings.TrimSuffix(prefix, "/")
}

// withPort adds the port of an X-Forwarded-Port to a host that has none.
func withPort(host, forwarded string) string {
	port, _, _ := strings.Cut(forwarded, ",")
	n, err := strconv.ParseUint(strings.TrimSpace(port), 10, 16)
	if err != nil || n == 0 {
		return host
	}
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), strconv.FormatUint(n, 10))
}

// Relative returns the URL of an upload as a path below BasePath if it is below PublicURL,
// whose path may be another.
func (u URLs) Relative(uploadURL string) string {
	if u.PublicURL == "" {
		return uploadURL
	}
	public, err := url.Parse(u.PublicURL)
	if err != nil {
		return uploadURL
	}
	for _, prefix := range []string{u.PublicURL, public.Path} {
		if id, ok := strings.CutPrefix(uploadURL, prefix); ok {
			return u.BasePath + id
		}
	}
	return uploadURL
}

// LooksUnreachable reports whether the URL of an upload is at a loopback address although
// the request came through a proxy: the proxy does not pass on the name that clients use.
func (u URLs) LooksUnreachable(r *http.Request) bool {
	proxied := false
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "Via", "X-Real-Ip"} {
		proxied = proxied || r.Header.Get(name) != ""
	}
	if !proxied {
		return false
	}
	_, host := u.Origin(r)
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && (ip.IsLoopback() || ip.IsUnspecified()) || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// Concatenation returns the value of an Upload-Concat header (tus 1.0, section
// Concatenation), "" for an upload that has nothing to do with a concatenation.
func (u URLs) Concatenation(r *http.Request, up storage.Upload) string {
	switch {
	case up.Partial:
		return "partial"
	case len(up.Parts) == 0:
		return ""
	}
	parts := make([]string, len(up.Parts))
	for i, id := range up.Parts {
		parts[i] = u.Upload(r, id)
	}
	return "final;" + strings.Join(parts, " ")
}
