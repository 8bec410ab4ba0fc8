package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/config"
)

// h2c is a client of HTTP/2 without TLS.
func h2c(t *testing.T) *http.Client {
	transport := &http.Transport{Protocols: &http.Protocols{}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestHTTP2WithoutTLS(t *testing.T) {
	r := start(t, testConfig(t), nil)
	data := randomBytes(3 << 20)
	a := do(t, h2c(t), "PUT", r.URL()+"photo", bytes.NewReader(data))
	if a.StatusCode != http.StatusCreated || a.ProtoMajor != 2 {
		t.Fatalf("PUT: %s by %s: %s", a.Status, a.Proto, a.body)
	}
	if a = do(t, h1(t), "GET", r.URL()+"photo", nil); !bytes.Equal(a.body, data) || a.ProtoMajor != 1 {
		t.Errorf("GET: %s by %s, %d bytes", a.Status, a.Proto, len(a.body))
	}
}

// All chunks of a file may be sent over one connection at once. Stalled ones must not use
// up its flow-control window.
func TestStalledChunksDoNotStopOthersOfTheirConnection(t *testing.T) {
	const stalled, size = 50, 2 << 20
	entered := make(chan struct{}, stalled)
	r := start(t, testConfig(t), http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/stall" {
			entered <- struct{}{}
			<-req.Context().Done()
			return
		}
		n, err := io.Copy(io.Discard, req.Body)
		if err != nil {
			t.Errorf("read the body: %v", err)
		}
		w.Header().Set("N", strconv.FormatInt(n, 10))
	}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client := h2c(t)
	do(t, client, "GET", r.at("/"), nil) // from now on there is a connection
	for range stalled {
		go func() { _, _ = try(ctx, client, "PUT", r.at("/stall"), bytes.NewReader(make([]byte, size))) }()
	}
	for range stalled {
		<-entered
	}
	time.Sleep(100 * time.Millisecond) // so that they fill what they can
	quick, cancelQuick := context.WithTimeout(ctx, patience)
	defer cancelQuick()
	a, err := try(quick, client, "PUT", r.at("/"), bytes.NewReader(make([]byte, 8<<20)))
	if err != nil || a.Header.Get("N") != strconv.Itoa(8<<20) {
		t.Errorf("the chunk that is not stalled: %v, %v", a, err)
	}
}

func TestHTTPS(t *testing.T) {
	cfg := withCertificate(t, testConfig(t), "first")
	r := start(t, cfg, nil)
	for want, protocols := range map[string][]string{"HTTP/1.1": {"http/1.1"}, "HTTP/2.0": {"h2", "http/1.1"}} {
		a := do(t, trusting(t, cfg, protocols...), "PUT", r.URL()+"by-"+protocols[0][:2], bytes.NewReader([]byte("hello")))
		if a.Proto != want || a.StatusCode != http.StatusCreated {
			t.Errorf("PUT: %s by %s, want %s", a.Status, a.Proto, want)
		}
		if location := a.Header.Get("Location"); len(location) < 5 || location[:5] != "https" {
			t.Errorf("the upload's URL is %q", location)
		}
	}
}

func TestCertificateIsReadAgainWhenItChanges(t *testing.T) {
	cfg := withCertificate(t, testConfig(t), "first")
	r := start(t, cfg, nil)
	served := func() string {
		conn, err := tls.Dial("tcp", r.listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := served(); got != "first" {
		t.Fatalf("serves %q", got)
	}
	writeCertificate(t, cfg, "second")
	if got := served(); got != "second" {
		t.Errorf("after a change: %q", got)
	}
	if err := os.WriteFile(cfg.TLSKey, []byte("half a fi"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := served(); got != "second" {
		t.Errorf("after a broken change: %q, want the one before", got)
	}
	writeCertificate(t, cfg, "third")
	if got := served(); got != "third" {
		t.Errorf("after it was repaired: %q", got)
	}
}

func withCertificate(t *testing.T, cfg config.Config, name string) config.Config {
	dir := t.TempDir()
	cfg.TLSCert, cfg.TLSKey = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, cfg, name)
	return cfg
}

// writeCertificate replaces the certificate by a new self-signed one for 127.0.0.1.
func writeCertificate(t *testing.T, cfg config.Config, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{
		cfg.TLSCert: {Type: "CERTIFICATE", Bytes: cert},
		cfg.TLSKey:  {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// trusting returns a client that trusts the configured certificate and offers these
// protocols.
func trusting(t *testing.T, cfg config.Config, protocols ...string) *http.Client {
	t.Helper()
	text, err := os.ReadFile(cfg.TLSCert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, Protocols: &http.Protocols{}}
	transport.Protocols.SetHTTP1(true)
	transport.Protocols.SetHTTP2(protocols[0] == "h2")
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
