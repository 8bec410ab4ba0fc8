package admin

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
)

// Guard rejects requests that a web page may have made an operator's browser send: those from
// another origin, and those to a host that is not one of this server's (DNS rebinding). It
// stands in front of everything on the admin address, which is listen. Hosts are further names
// of it, without ports.
func Guard(next http.Handler, listen string, hosts ...string) http.Handler {
	host, _, _ := net.SplitHostPort(listen)
	machine, _ := os.Hostname() // without a name, none matches
	hosts = slices.Concat(hosts, []string{host, machine})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !isOwnHost(r.Host, hosts):
			http.Error(w, "this is not a name of the admin address: give it as --admin-host", http.StatusMisdirectedRequest)
		case isCrossOrigin(r):
			http.Error(w, "requests of other web pages are not allowed here", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// isOwnHost reports whether a Host header names this server: an IP address, a name that
// is not registered on the Internet, or one of hosts.
func isOwnHost(header string, hosts []string) bool {
	host := header
	if name, _, err := net.SplitHostPort(header); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") {
		return true
	}
	if slices.ContainsFunc(hosts, func(own string) bool { return strings.EqualFold(own, host) }) {
		return true
	}
	return slices.ContainsFunc(privateDomains, func(domain string) bool { return strings.HasSuffix(host, domain) })
}

// privateDomains are reserved for private networks: RFC 6761, RFC 6762, and the top-level
// domain internal. Kubernetes uses cluster.local.
var privateDomains = []string{".localhost", ".local", ".internal"}

// isCrossOrigin reports whether a browser sent the request for a page of another origin.
func isCrossOrigin(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return true
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || !strings.EqualFold(u.Host, r.Host)
}
