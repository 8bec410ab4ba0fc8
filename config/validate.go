package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// validate returns an error about every setting with an invalid value. name returns the name
// of a flag's setting in messages.
func (c *Config) validate(name func(flag string) string) error {
	var wrong []error
	reject := func(flag string, err error) {
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", name(flag), err))
		}
	}
	reject("listen", checkAddress(c.Listen))
	reject("base-path", checkBasePath(c.BasePath))
	switch {
	case c.TLSCert == "" && c.TLSKey != "":
		reject("tls-cert", errors.New("is missing, while --tls-key is set: HTTPS needs both, HTTP neither"))
	case c.TLSCert != "" && c.TLSKey == "":
		reject("tls-key", errors.New("is missing, while --tls-cert is set: HTTPS needs both, HTTP neither"))
	}
	reject("public-url", checkPublicURL(c.PublicURL))
	for _, origin := range c.CORSOrigins {
		reject("cors-origin", checkOrigin(origin))
	}
	for _, header := range c.CORSExposeHeaders {
		reject("cors-expose-header", checkHeader(header))
	}
	if c.Data == "" {
		reject("data", errors.New("is empty: uploads need a directory"))
	}
	c.validateS3(reject)
	c.validateHooks(reject)
	c.validateAuth(reject)
	reject("expire-after", checkDuration(c.ExpireAfter, 0))
	reject("remember-finished", checkDuration(c.RememberFinished, 0))
	reject("idle-timeout", checkDuration(c.IdleTimeout, 1))
	reject("lock-timeout", checkDuration(c.LockTimeout, 1))
	reject("sweep-interval", checkDuration(c.SweepInterval, 1))
	reject("shutdown-timeout", checkDuration(c.ShutdownTimeout, 1))
	c.validateObservability(reject)
	reject("log-format", checkOneOf(c.LogFormat, "text", "json"))
	reject("log-level", checkOneOf(c.LogLevel, "debug", "info", "warn", "error"))
	return errors.Join(wrong...)
}

func (c *Config) validateS3(reject func(flag string, err error)) {
	if c.S3Endpoint != "" {
		reject("s3-endpoint", checkURL(c.S3Endpoint, "http", "https"))
	}
	if c.S3PublicEndpoint != "" {
		reject("s3-public-endpoint", checkURL(c.S3PublicEndpoint, "http", "https"))
	}
	reject("s3-checksums", checkOneOf(c.S3Checksums, "auto", "crc32c", "off"))
	reject("s3-timeout", checkDuration(c.S3Timeout, 1))
	reject("s3-presign-ttl", checkDuration(c.S3PresignTTL, 0))
	if c.S3PresignTTL > 7*24*time.Hour {
		reject("s3-presign-ttl", fmt.Errorf("%s is too long: S3 allows 168h", c.S3PresignTTL))
	}
	if c.Redis != "" {
		reject("redis", checkURL(c.Redis, "redis", "rediss", "unix"))
	}
	if c.BufferMemory < 1<<20 {
		reject("buffer-memory", fmt.Errorf("%d bytes are too few: 1MiB or more is allowed", c.BufferMemory))
	}
}

func (c *Config) validateObservability(reject func(flag string, err error)) {
	if c.AdminListen != "" {
		reject("admin-listen", checkAddress(c.AdminListen))
	}
	if c.OTLPEndpoint != "" {
		reject("otlp-endpoint", checkURL(c.OTLPEndpoint, "http", "https"))
	}
	if c.OTLPService == "" {
		reject("otlp-service", errors.New("is empty: traces need the name of a service"))
	}
	if !(c.OTLPSample >= 0 && c.OTLPSample <= 1) { // rejects NaN too
		reject("otlp-sample", fmt.Errorf("%v is not a share from 0 to 1", c.OTLPSample))
	}
}

func checkURL(raw string, schemes ...string) error {
	u, err := url.Parse(raw)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Host == "" && u.Path == "" {
		// The URL may hold a password, so it is not repeated.
		return fmt.Errorf("is not a URL that begins with one of %s://", strings.Join(schemes, "://, "))
	}
	return nil
}

func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%q is not an address: host:port with a port of 0 to 65535, such as :8080 or [::1]:8080", address)
	}
	return nil
}

// normalizePath returns path with a "/" at both ends.
func normalizePath(path string) string {
	if path = strings.Trim(path, "/"); path == "" {
		return "/"
	}
	return "/" + path + "/"
}

var plainPath = regexp.MustCompile(`^/([A-Za-z0-9_~.-]+/)*$`)

func checkBasePath(path string) error {
	segments := strings.Split(path, "/")
	if !plainPath.MatchString(path) || slices.Contains(segments, ".") || slices.Contains(segments, "..") {
		return fmt.Errorf("%q is not a path of letters, digits, '-', '_', '.' and '~' between slashes, such as /files/", path)
	}
	return nil
}

// checkPublicURL checks a URL that ends with "/".
func checkPublicURL(raw string) error {
	u, err := url.Parse(raw)
	if raw != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || raw != u.Scheme+"://"+u.Host+u.Path || u.Host == "" || checkBasePath(u.Path) != nil) {
		return fmt.Errorf("%q is not a URL of http or https with a path alone, such as https://up.example.com/files/", raw)
	}
	return nil
}

func checkOrigin(origin string) error {
	if origin == "*" {
		return nil
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "" || u.Host == "" || origin != u.Scheme+"://"+u.Host || strings.Count(origin, "*") > 1 {
		return fmt.Errorf("%q is not an origin: * or scheme://host[:port] with no path, such as https://app.example.com, "+
			"and at most one * in it", origin)
	}
	if strings.Contains(origin, "*") && !anySubdomain.MatchString(u.Host) {
		return fmt.Errorf("%q allows more than the subdomains of one domain: a * stands for the first label of a host, above two others, "+
			"such as https://*.example.com", origin)
	}
	return nil
}

// anySubdomain matches a host with a * for its first label, above two others or more.
var anySubdomain = regexp.MustCompile(`^\*(\.[A-Za-z0-9-]+){2,}(:[0-9]+)?$`)

func checkDuration(d, least time.Duration) error {
	switch {
	case d >= least:
		return nil
	case least == 0:
		return fmt.Errorf("%s is negative: 0 or more is allowed", d)
	default:
		return fmt.Errorf("%s is too short: it must be more than 0", d)
	}
}

func checkOneOf(value string, allowed ...string) error {
	if !slices.Contains(allowed, value) {
		return fmt.Errorf("%q is not one of %s", value, strings.Join(allowed, ", "))
	}
	return nil
}
