package main

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
)

// guardAdmin rejects requests to the admin address that a web page may have made a browser
// send: those from another origin, and those to a host that is not one of this server's (DNS
// rebinding).
func guardAdmin(hosts []string, next http.Handler) http.Handler {
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
// is not registered on the Internet, the name of the machine, or one of hosts.
func isOwnHost(header string, hosts []string) bool {
	host := header
	if name, _, err := net.SplitHostPort(header); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") {
		return true
	}
	machine, _ := os.Hostname() // without a name, none matches
	if slices.ContainsFunc(append(hosts, machine), func(own string) bool { return strings.EqualFold(own, host) }) {
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

// adminHosts returns the names by which the admin address is reached.
func adminHosts(listen string, hosts []string) []string {
	host, _, _ := net.SplitHostPort(listen)
	return append(slices.Clone(hosts), host)
}
