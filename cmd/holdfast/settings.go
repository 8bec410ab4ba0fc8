package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/holdfast-upload/holdfast"
	"github.com/holdfast-upload/holdfast/cmd/holdfast/internal/stores"
	"github.com/holdfast-upload/holdfast/config"
	"github.com/holdfast-upload/holdfast/hooks/auth"
	"github.com/holdfast-upload/holdfast/hooks/limits"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/webhook"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/instrument"
	"github.com/holdfast-upload/holdfast/storage/tracing/otlp"
)

// settings holds the options of a server, built from a config.Config, and the resources
// that they use.
type settings struct {
	options holdfast.Options
	log     *slog.Logger
	metrics *instrument.Metrics
	tracing *otlp.Exporter // nil without --otlp-endpoint
	stores  *stores.Stores
	server  *holdfast.Server
}

func (s *settings) open(cfg config.Config, log *slog.Logger) (err error) {
	s.log, s.metrics = log, instrument.New(version())
	s.options = holdfast.Options{
		BasePath: cfg.BasePath, TrustForwarded: cfg.TrustForwarded, PublicURL: cfg.PublicURL, GoogleUploads: cfg.GoogleUploads, GraphUploads: cfg.GraphUploads, UploadPage: cfg.UploadPage,
		CORS:    protocol.CORS{Origins: cfg.CORSOrigins, Credentials: cfg.CORSCredentials, ExposeHeaders: cfg.CORSExposeHeaders},
		MaxSize: int64(cfg.MaxSize), ExpireAfter: cmp.Or(cfg.ExpireAfter, -1), RememberFinished: cmp.Or(cfg.RememberFinished, -1),
		IdleTimeout: cfg.IdleTimeout, LockTimeout: cfg.LockTimeout, NoInterimResponses: !cfg.InterimResponses, SweepInterval: cfg.SweepInterval,
		Limits:  limits.Options{UploadsPerMinute: cfg.LimitUploadsPerMinute, IncompleteUploads: cfg.LimitIncompleteUploads, BytesPerDay: int64(cfg.LimitBytesPerDay)},
		Log:     log,
		Metrics: func(protocol string) protocol.RequestMetrics { return s.metrics.Request(protocol) },
		Observer: storage.Observer{
			Event: func(ctx context.Context, e storage.Event) {
				s.metrics.Upload(e, protocol.ExchangeOf(ctx).Protocol())
			},
			Sweep: s.metrics.Sweep,
		},
	}
	for _, step := range []func(config.Config) error{s.openTracing, s.setKeys, s.openStores, s.openAuth, s.openWebhooks} {
		if err := step(cfg); err != nil {
			return err
		}
	}
	return nil
}

func (s *settings) openTracing(cfg config.Config) (err error) {
	if cfg.OTLPEndpoint == "" {
		return nil
	}
	s.tracing, err = otlp.New(otlp.Options{Endpoint: cfg.OTLPEndpoint, Service: cfg.OTLPService, Version: version(), Sample: cfg.OTLPSample, Log: s.log})
	s.options.Tracer = s.tracing.Tracer()
	return err
}

// setKeys makes the key template determine the keys of finished files.
func (s *settings) setKeys(cfg config.Config) error {
	template := cfg.KeyTemplate
	if template == "" {
		return nil
	}
	if err := template.Check(storage.MaxIDLength, storage.CheckKey); err != nil {
		return fmt.Errorf("--key-template: %w", err)
	}
	s.options.Key = func(rec storage.Record) string {
		return template.Key(config.File{ID: rec.ID, Name: rec.Filename(), Owner: rec.Owner, Creation: time.Now()})
	}
	return nil
}

// openStores opens the store, and Redis if it is configured.
func (s *settings) openStores(cfg config.Config) (err error) {
	s.stores, err = stores.Open(cfg, s.log, s.metrics, &s.options)
	return err
}

func (s *settings) openAuth(cfg config.Config) error {
	jwt, err := config.Secrets(cfg.AuthJWTSecrets, cfg.AuthJWTSecretFiles)
	if err != nil {
		return fmt.Errorf("--auth-jwt-secret-file: %w", err)
	}
	tickets, err := config.Secrets(cfg.TicketSecrets, cfg.TicketSecretFiles)
	if err != nil {
		return fmt.Errorf("--ticket-secret-file: %w", err)
	}
	s.options.Auth = auth.Options{
		JWTSecrets: jwt, JWKSURL: cfg.AuthJWKSURL, Issuer: cfg.AuthJWTIssuer, Audience: cfg.AuthJWTAudience,
		HookURL: cfg.AuthHookURL, HookHeaders: cfg.AuthHookHeaders, HookTimeout: cfg.AuthHookTimeout,
		TicketSecrets: tickets, TicketTTL: cfg.TicketTTL,
	}
	return nil
}

// openWebhooks sets up the hooks that are sent to the app.
func (s *settings) openWebhooks(cfg config.Config) error {
	if !cfg.Hooks() {
		return nil
	}
	secrets, err := config.HookSecrets(cfg)
	if err != nil {
		return err
	}
	if len(secrets) == 0 {
		s.log.Warn("hooks are not signed, so the app cannot verify their sender; set --hook-secret")
	}
	certificates, err := webhook.TLSConfig(cfg.HookCA, cfg.HookClientCert, cfg.HookClientKey)
	if err != nil {
		return fmt.Errorf("--hook-ca, --hook-client-cert: %w", err)
	}
	webhooks, err := webhook.New(webhook.Options{
		URL: cfg.HookURL, URLs: cfg.HookURLOverride, Events: cfg.HookEvents, Secrets: secrets,
		Forward: cfg.HookForwardHeader, Secret: cfg.AuthHookHeaders, Timeout: cfg.HookTimeout,
		RetryInitial: cfg.HookRetryInitial, RetryMaxAge: cfg.HookRetryMaxAge, ProgressInterval: cfg.HookProgressInterval,
		TLS: certificates, Storage: s.stores.Location, Log: s.log,
		OnStop: func(ctx context.Context, id string, rejection error) error {
			return s.server.Uploads().Stop(ctx, id, rejection)
		},
	})
	if err != nil {
		return err
	}
	s.options.Policy, s.options.Delivery = webhooks.Policy(), webhooks.Delivery()
	s.options.Observer = storage.Observers(s.options.Observer, webhooks.Observer())
	s.metrics.Hooks(func() instrument.Hooks {
		d, h := s.server.Uploads().DeliveryStats(), webhooks.Stats()
		return instrument.Hooks{
			Pending: int64(d.Pending), InFlight: d.InFlight, Delivered: d.Delivered, Failed: d.Failed, DeadLettered: d.DeadLettered, Deferred: d.Deferred,
			Queued: int64(h.Queued), Dropped: h.Dropped, BestEffortFailed: h.BestEffortFailed, BlockingFailed: h.BlockingFailed,
		}
	})
	return nil
}
