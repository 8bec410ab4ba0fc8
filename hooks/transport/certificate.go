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
// reloads them when they change. It fails if they cannot be loaded now.
func TLSConfig(certFile, keyFile string, log *slog.Logger) (*tls.Config, error) {
	pair := &keyPair{certFile: certFile, keyFile: keyFile, log: log}
	if err := pair.refresh(); err != nil {
		return nil, err
	}
	return &tls.Config{GetCertificate: pair.get}, nil
}

// keyPair is a certificate that is reloaded when its files change: certificates are
// renewed every few weeks, without a restart of the server.
type keyPair struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	changed [2]time.Time // modification times of the files when last read
}

// get is called for each handshake. If the files cannot be loaded, for example because
// only one of them has been replaced yet, it returns the previous certificate.
func (k *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.refresh(); err != nil {
		k.log.Warn("reloading the certificate failed; keeping the old one", "error", err)
	}
	return k.current, nil
}

func (k *keyPair) refresh() error {
	var changed [2]time.Time
	for i, path := range []string{k.certFile, k.keyFile} {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("load the certificate: %w", err)
		}
		changed[i] = info.ModTime()
	}
	if changed == k.changed {
		return nil
	}
	k.changed = changed // even if it fails, so that it is logged once
	cert, err := tls.LoadX509KeyPair(k.certFile, k.keyFile)
	if err != nil {
		return fmt.Errorf("load the certificate: %s and %s: %w", k.certFile, k.keyFile, err)
	}
	k.current = &cert
	return nil
}
