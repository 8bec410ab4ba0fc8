package test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// oneConnection is a client that speaks HTTP/2 without TLS, and how many
// connections it has made.
func oneConnection() (*http.Client, *atomic.Int32) {
	var dialed atomic.Int32
	transport := &http.Transport{Protocols: &http.Protocols{}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialed.Add(1)
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	return &http.Client{Transport: transport}, &dialed
}

func TestChunksInParallelOnOneHTTP2Connection(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := NewContent(34, 64*mib)
	c := newClient(s, "h2", content)
	var dialed *atomic.Int32
	c.HTTP, dialed = oneConnection()
	put(t, c, ranges.Of(0, 2*mib), http.StatusAccepted) // so that the connection is there
	if n := count(t, all(t, c, content.Chunks(2*mib)), http.StatusCreated); n < 1 {
		t.Error("no answer was final")
	}
	if n := dialed.Load(); n != 1 {
		t.Errorf("the chunks went over %d connections", n)
	}
	wantFile(t, c.URL, content)
}

func TestAStandingChunkDoesNotStopTheOthersOfItsConnection(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := NewContent(35, 32*mib)
	c := newClient(s, "h2-standing", content)
	c.HTTP, _ = oneConnection()
	put(t, c, ranges.Of(0, mib), http.StatusAccepted)

	// A chunk of which only the first half comes, until the others are through.
	rest := make(chan struct{})
	var standing sync.WaitGroup
	standing.Go(func() {
		r := ranges.Of(0, 4*mib)
		body := io.MultiReader(content.Part(ranges.Of(0, 2*mib)), &waiting{rest, content.Part(ranges.Of(2*mib, 2*mib))})
		req := request(t, http.MethodPut, c.URL, body, "Content-Range: "+ContentRange(r, content.Size))
		req.ContentLength = r.Len()
		if a, err := Do(c.HTTP, req); err != nil || a.Status != http.StatusCreated {
			t.Errorf("the chunk that stood still: %d %s (%v)", a.Status, a.Body, err)
		}
	})
	count(t, all(t, c, content.Chunks(4 * mib)[1:]), http.StatusCreated)
	close(rest)
	standing.Wait()
	wantFile(t, c.URL, content)
}

// waiting reads src once it may.
type waiting struct {
	may <-chan struct{}
	src io.Reader
}

func (w *waiting) Read(p []byte) (int, error) {
	<-w.may
	return w.src.Read(p)
}

func TestUploadsOverTLSSpeakHTTP2(t *testing.T) {
	t.Parallel()
	cert, key, roots := selfSigned(t)
	s := start(t, "--tls-cert", cert, "--tls-key", key)
	content := NewContent(36, 8*mib)
	c := newClient(s, "tls", content)
	c.URL = strings.Replace(c.URL, "http:", "https:", 1)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	c.HTTP = &http.Client{Transport: transport}
	count(t, all(t, c, content.Chunks(mib)), http.StatusCreated)

	resp, err := c.HTTP.Get(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	sum, _, err := Sum(resp.Body)
	if err != nil || sum != content.Sum() {
		t.Errorf("the file is not what was sent (%v)", err)
	}
	if resp.ProtoMajor != 2 {
		t.Errorf("the server spoke %s", resp.Proto)
	}
	location := put(t, c, ranges.Of(0, mib), http.StatusCreated).Header.Get("Location")
	if location != c.URL {
		t.Errorf("Location is %s, want %s", location, c.URL)
	}
}

// selfSigned makes a certificate for 127.0.0.1 and returns its two files, and the
// pool that trusts it.
func selfSigned(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certFile, keyFile = write("cert.pem", "CERTIFICATE", cert), write("key.pem", "PRIVATE KEY", pkcs8)
	parsed, err := x509.ParseCertificate(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	return certFile, keyFile, roots
}
