package otlp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// environment has what the variables OTEL_EXPORTER_OTLP_* set, as the specification of
// OpenTelemetry's exporters describes them: HEADERS, TIMEOUT, COMPRESSION, CERTIFICATE,
// CLIENT_CERTIFICATE and CLIENT_KEY, each also as OTEL_EXPORTER_OTLP_TRACES_*, which wins.
type environment struct {
	headers http.Header
	timeout time.Duration // of a request
	gzip    bool
	tls     *tls.Config // nil is the default
}

// variable is one of OTEL_EXPORTER_OTLP_*.
type variable struct{ name, value string }

// find returns the variable of that name, with an empty value if it is not set.
func find(name string) variable {
	for _, prefix := range []string{"OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"} {
		if value := strings.TrimSpace(os.Getenv(prefix + name)); value != "" {
			return variable{prefix + name, value}
		}
	}
	return variable{}
}

func readEnvironment() (e environment, err error) {
	e = environment{headers: http.Header{}, timeout: 10 * time.Second}
	for name, set := range map[string]func(value string) error{
		"HEADERS": e.setHeaders, "TIMEOUT": e.setTimeout, "COMPRESSION": e.setCompression,
		"CERTIFICATE": e.setAuthorities, "CLIENT_CERTIFICATE": e.setClient,
	} {
		if v := find(name); v.value != "" {
			if failed := set(v.value); failed != nil {
				err = errors.Join(err, fmt.Errorf("%s: %w", v.name, failed))
			}
		}
	}
	return e, err
}

// setHeaders sets the headers of "name=value,name=value", in which values are URL-encoded. Its
// errors show no value, which may be a secret.
func (e *environment) setHeaders(list string) error {
	for pair := range strings.SplitSeq(list, ",") {
		name, value, ok := strings.Cut(pair, "=")
		text, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !ok || name == "" || err != nil {
			return errors.New("is not a list such as api-key=secret,tenant=a%20b")
		}
		e.headers.Set(name, text)
	}
	return nil
}

func (e *environment) setTimeout(milliseconds string) error {
	n, err := strconv.Atoi(milliseconds)
	if err != nil || n <= 0 {
		return fmt.Errorf("%q is not a number of milliseconds", milliseconds)
	}
	e.timeout = time.Duration(n) * time.Millisecond
	return nil
}

func (e *environment) setCompression(name string) error {
	if name != "gzip" && name != "none" {
		return fmt.Errorf("%q is not one of gzip and none", name)
	}
	e.gzip = name == "gzip"
	return nil
}

// setAuthorities trusts the authorities of a PEM file, and no others.
func (e *environment) setAuthorities(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return fmt.Errorf("%s has no certificate", path)
	}
	e.tlsConfig().RootCAs = roots
	return nil
}

// setClient presents the certificate of a PEM file, whose key CLIENT_KEY names.
func (e *environment) setClient(path string) error {
	pair, err := tls.LoadX509KeyPair(path, find("CLIENT_KEY").value)
	if err != nil {
		return err
	}
	e.tlsConfig().Certificates = []tls.Certificate{pair}
	return nil
}

func (e *environment) tlsConfig() *tls.Config {
	if e.tls == nil {
		e.tls = &tls.Config{}
	}
	return e.tls
}
