// Package transport moves bytes between HTTP clients and the protocol handlers.
package transport

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// TLSConfig returns a configuration that serves the certificate in two PEM files, and
// reads them again when they change. It fails if they do not hold one now.
func TLSConfig(certFile, keyFile string, log *slog.Logger) (*tls.Config, error) {
	pair := &keyPair{certFile: certFile, keyFile: keyFile, log: log}
	if err := pair.refresh(); err != nil {
		return nil, err
	}
	return &tls.Config{GetCertificate: pair.get}, nil
}

// keyPair is a certificate that is read again after its files have changed, as they do
// every few weeks without a restart of the server.
type keyPair struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	changed [2]time.Time // of the files, when they were last read
}

// get is called for each handshake. Files that cannot be used, such as one whose
// other half has not been replaced yet, leave the certificate as it was.
func (k *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.refresh(); err != nil {
		k.log.Warn("the certificate could not be read again, the old one stays", "error", err)
	}
	return k.current, nil
}

func (k *keyPair) refresh() error {
	var changed [2]time.Time
	for i, path := range []string{k.certFile, k.keyFile} {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("read the certificate: %w", err)
		}
		changed[i] = info.ModTime()
	}
	if changed == k.changed {
		return nil
	}
	k.changed = changed // even if it fails, so that it is logged once
	cert, err := tls.LoadX509KeyPair(k.certFile, k.keyFile)
	if err != nil {
		return fmt.Errorf("read the certificate: %s and %s: %w", k.certFile, k.keyFile, err)
	}
	k.current = &cert
	return nil
}
