package protocol

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// URLs maps uploads to URLs and back.
type URLs struct {
	// BasePath is the path prefix of uploads; it begins and ends with "/".
	BasePath string
	// TrustForwarded takes the client's scheme, host and address from Forwarded (RFC
	// 7239) and X-Forwarded-Proto, -Host, -Port, -Prefix and -For, as set by proxies.
	TrustForwarded bool
	// PublicURL, if set, is the URL below which clients reach uploads, whatever headers say.
	// It ends with "/".
	PublicURL string
}

// ID returns the upload id in the path of a request, "" for the collection and for a path
// outside of BasePath. It does not validate it; see storage.CheckID.
func (u URLs) ID(r *http.Request) string {
	id, below := strings.CutPrefix(r.URL.Path+"/", u.BasePath)
	if !below {
		return ""
	}
	return strings.Trim(id, "/")
}

// Upload returns the URL of an upload as the client of r reaches it. It is absolute:
// some clients do not resolve a relative Location.
func (u URLs) Upload(r *http.Request, id string) string {
	if u.PublicURL != "" {
		return u.PublicURL + id
	}
	scheme, host := u.Origin(r)
	return scheme + "://" + host + u.forwardedPrefix(r) + u.BasePath + id
}

// WithQuery returns a URL with another parameter in its query.
func WithQuery(url, parameter string) string {
	if strings.Contains(url, "?") {
		return url + "&" + parameter
	}
	return url + "?" + parameter
}

var (
	forwardedHost  = regexp.MustCompile(`(?i)(?:^|[;,\s])host="?([^";,\s]+)`)
	forwardedProto = regexp.MustCompile(`(?i)(?:^|[;,\s])proto="?(https?)\b`)
	plainHost      = regexp.MustCompile(`^[A-Za-z0-9._\-\[\]:]+$`)
)

// Origin returns the scheme and host by which the client of r reached the server, with
// the port unless it is the scheme's default.
func (u URLs) Origin(r *http.Request) (scheme, host string) {
	scheme, host = "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if public, err := url.Parse(u.PublicURL); u.PublicURL != "" && err == nil {
		return public.Scheme, public.Host
	}
	if u.TrustForwarded {
		scheme, host = forwarded(r.Header, scheme, host)
	}
	port := map[string]string{"http": ":80", "https": ":443"}[scheme]
	return scheme, strings.TrimSuffix(host, port)
}

// forwarded returns the values of the outermost proxy: the first of each list.
func forwarded(h http.Header, scheme, host string) (string, string) {
	p, _, _ := strings.Cut(h.Get("X-Forwarded-Proto"), ",")
	if p = strings.ToLower(strings.TrimSpace(p)); p == "http" || p == "https" {
		scheme = p
	}
	if x, _, _ := strings.Cut(h.Get("X-Forwarded-Host"), ","); plainHost.MatchString(x) {
		host = x
	}
	host = withPort(host, h.Get("X-Forwarded-Port"))
	if m := forwardedProto.FindStringSubmatch(h.Get("Forwarded")); m != nil {
		scheme = strings.ToLower(m[1])
	}
	if m := forwardedHost.FindStringSubmatch(h.Get("Forwarded")); m != nil && plainHost.MatchString(m[1]) {
		host = m[1]
	}
	return scheme, host
}

// Client returns the IP address of the client of r: the last in X-Forwarded-For, which
// was added by the nearest proxy, if that is trusted, or else that of the connection.
func (u URLs) Client(r *http.Request) string {
	if u.TrustForwarded {
		values := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if ip, ok := address(strings.TrimSpace(values[len(values)-1])); ok {
			return ip
		}
	}
	if ip, ok := address(r.RemoteAddr); ok {
		return ip
	}
	return r.RemoteAddr
}

// address parses an IP address with an optional port, and returns it in canonical form.
func address(text string) (string, bool) {
	ip, err := netip.ParseAddr(text)
	if err != nil {
		var at netip.AddrPort
		at, err = netip.ParseAddrPort(text)
		ip = at.Addr()
	}
	return ip.Unmap().WithZone("").String(), err == nil
}

// WithoutURL strips the URL, which may contain a password, from an error of http.Client.
func WithoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
