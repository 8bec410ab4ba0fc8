package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/holdfast-upload/holdfast/config"
	"github.com/holdfast-upload/holdfast/hooks/webhook"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/observed"
)

// openHooks returns the app that is told of uploads, nil if there is none.
func (s *Server) openHooks() (*webhook.App, error) {
	cfg := s.cfg
	if !cfg.Hooks() {
		return nil, nil
	}
	secrets, err := readSecrets(cfg)
	if err != nil {
		return nil, err
	}
	if len(secrets) == 0 {
		s.log.Warn("hooks are not signed: the app can't know that they are from here; set --hook-secret")
	}
	certificates, err := hookTLS(cfg)
	if err != nil {
		return nil, err
	}
	place, err := placeOf(cfg)
	if err != nil {
		return nil, err
	}
	return webhook.New(webhook.Options{
		URL: cfg.HookURL, URLs: cfg.HookURLFor, Events: cfg.HookEvents, Secrets: secrets,
		Forward: cfg.HookForwardHeader, Secret: cfg.AuthHookHeaders,
		Timeout: cfg.HookTimeout, RetryAfter: cfg.HookRetryAfter, RetryFor: cfg.HookRetryFor, ReceiveEvery: cfg.HookReceiveEvery,
		TLS: certificates, Storage: place, Log: s.log,
		Stop: func(ctx context.Context, id string) error { return s.uploads.Discard(ctx, id) },
	})
}

// readSecrets are those of the settings and of the file that they name.
func readSecrets(cfg config.Config) ([]string, error) {
	var files []string
	if cfg.HookSecretFile != "" {
		files = []string{cfg.HookSecretFile}
	}
	all, err := secrets(cfg.HookSecrets, files)
	for _, secret := range all {
		err = errors.Join(err, config.CheckSecret(secret))
	}
	if err != nil {
		return nil, fmt.Errorf("--hook-secret-file: %w", err)
	}
	return all, nil
}

// hookTLS is what is shown to the app, and whom to believe that he is it: nil if the
// settings say nothing of that.
func hookTLS(cfg config.Config) (*tls.Config, error) {
	if cfg.HookCA == "" && cfg.HookClientCert == "" {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.HookCA != "" {
		text, err := os.ReadFile(cfg.HookCA)
		if err != nil {
			return nil, fmt.Errorf("--hook-ca: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--hook-ca: %s holds no certificate in PEM", cfg.HookCA)
		}
	}
	if cfg.HookClientCert != "" {
		own, err := tls.LoadX509KeyPair(cfg.HookClientCert, cfg.HookClientKey)
		if err != nil {
			return nil, fmt.Errorf("--hook-client-cert: %w", err)
		}
		out.Certificates = []tls.Certificate{own}
	}
	return out, nil
}

// placeOf tells where the file of an upload is, in the words of tusd's hooks.
func placeOf(cfg config.Config) (func(storage.Upload) map[string]string, error) {
	if cfg.S3Bucket != "" {
		return func(up storage.Upload) map[string]string {
			return withChecksums(up, map[string]string{"Type": "s3store", "Bucket": cfg.S3Bucket, "Key": cfg.S3Prefix + cmp.Or(up.Key, up.ID)})
		}, nil
	}
	dir, err := filepath.Abs(cfg.Data)
	if err != nil {
		return nil, err
	}
	return func(up storage.Upload) map[string]string {
		return withChecksums(up, map[string]string{"Type": "filestore", "Path": filepath.Join(dir, filepath.FromSlash(cmp.Or(up.Key, up.ID)))})
	}, nil
}

// withChecksums adds what is known of the bytes of a finished file.
func withChecksums(up storage.Upload, place map[string]string) map[string]string {
	if up.CRC32C != nil {
		place["CRC32C"] = up.CRC32C.String()
	}
	if sum := up.SHA256(); sum != nil {
		place["SHA256"] = hex.EncodeToString(sum)
	}
	return place
}

// observeHooks shows in the metrics how it stands with telling the app.
func (s *Server) observeHooks() {
	s.metrics.Hooks(func() observed.Hooks {
		h := s.hooks.Stats()
		return observed.Hooks{
			Pending: int64(h.Pending), Sending: h.Sending, Queued: int64(h.Queued),
			Delivered: h.Delivered, Failed: h.Failed, Parked: h.Parked, Overflowed: h.Overflowed,
			Dropped: h.Dropped, NotesFailed: h.NoteFailed, Unanswered: h.AskFailed,
		}
	})
}

// runHooks tells the app what there is to tell until ctx is done, and closes the
// channel that it returns once nothing is being told any more.
func (s *Server) runHooks(ctx context.Context) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if s.hooks != nil {
			s.hooks.Run(ctx, s.uploads)
		}
	}()
	return ended
}

var errNoHooks = errors.New("no hooks are set: --hook-url tells where the app is")
