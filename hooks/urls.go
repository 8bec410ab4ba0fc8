package hooks

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// URLs tells where uploads are found.
type URLs struct {
	// BasePath is the path below which uploads lie; it begins and ends with "/".
	BasePath string
	// TrustForwarded takes the scheme and the host that clients used from
	// Forwarded (RFC 7239) or X-Forwarded-Proto and -Host, as proxies set them.
	TrustForwarded bool
}

// ID is the upload id in the path of a request, "" for the collection itself. It
// is not checked: storage.CheckID does that.
func (u URLs) ID(r *http.Request) string {
	return strings.Trim(strings.TrimPrefix(r.URL.Path+"/", u.BasePath), "/")
}

// Upload is the absolute URL of an upload, as the client of r reaches it.
// Absolute, because clients are known that resolve no relative Location.
func (u URLs) Upload(r *http.Request, id string) string {
	scheme, host := u.Origin(r)
	return scheme + "://" + host + u.BasePath + id
}

var (
	forwardedHost  = regexp.MustCompile(`(?i)(?:^|[;,\s])host="?([^";,\s]+)`)
	forwardedProto = regexp.MustCompile(`(?i)(?:^|[;,\s])proto="?(https?)\b`)
	plainHost      = regexp.MustCompile(`^[A-Za-z0-9._\-\[\]:]+$`)
)

// Origin is the scheme and the host, with the port if it is not the scheme's own,
// at which the client of r found the server.
func (u URLs) Origin(r *http.Request) (scheme, host string) {
	scheme, host = "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if u.TrustForwarded {
		scheme, host = forwarded(r.Header, scheme, host)
	}
	port := map[string]string{"http": ":80", "https": ":443"}[scheme]
	return scheme, strings.TrimSuffix(host, port)
}

// forwarded reads what the outermost proxy said: the first of each list.
func forwarded(h http.Header, scheme, host string) (string, string) {
	p, _, _ := strings.Cut(h.Get("X-Forwarded-Proto"), ",")
	if p = strings.ToLower(strings.TrimSpace(p)); p == "http" || p == "https" {
		scheme = p
	}
	if x, _, _ := strings.Cut(h.Get("X-Forwarded-Host"), ","); plainHost.MatchString(x) {
		host = x
	}
	if m := forwardedProto.FindStringSubmatch(h.Get("Forwarded")); m != nil {
		scheme = strings.ToLower(m[1])
	}
	if m := forwardedHost.FindStringSubmatch(h.Get("Forwarded")); m != nil && plainHost.MatchString(m[1]) {
		host = m[1]
	}
	return scheme, host
}

// Client is the address of the client of r: the last one that X-Forwarded-For names,
// which is what the nearest proxy saw, or that of the connection.
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

// address is the IP address in text, in one spelling, with which a port may stand.
func address(text string) (string, bool) {
	ip, err := netip.ParseAddr(text)
	if err != nil {
		var at netip.AddrPort
		at, err = netip.ParseAddrPort(text)
		ip = at.Addr()
	}
	return ip.Unmap().WithZone("").String(), err == nil
}

// WithoutURL is an error of an http.Client without the URL that it was about, which may
// hold a password.
func WithoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
