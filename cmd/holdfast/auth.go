package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/config"
	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/hooks/auth"
	"github.com/holdfast-upload/holdfast/hooks/limits"
	"github.com/holdfast-upload/holdfast/hooks/limits/redislimits"
	"github.com/holdfast-upload/holdfast/storage"
)

// access is who may come in, and how much he may do there.
type access struct {
	auth   *auth.Auth // nil if nobody is asked who he is
	limits *limits.Limiter
}

func openAccess(cfg config.Config, b backend, log *slog.Logger) (*access, error) {
	urls := hooks.URLs{BasePath: cfg.BasePath, TrustForwarded: cfg.ForwardedHeaders}
	l := limits.Options{
		UploadsPerMinute: cfg.LimitUploadsPerMinute, IncompleteUploads: cfg.LimitLiveUploads, BytesPerDay: int64(cfg.LimitBytesPerDay),
		URLs: urls, ExpireAfter: cfg.ExpireAfter, Log: log,
	}
	if b.redis != nil {
		l.Shared = redislimits.New(b.redis.Client(), cfg.RedisPrefix)
	}
	a := &access{limits: limits.New(l)}
	jwtSecrets, err := secrets(cfg.AuthJWTSecrets, cfg.AuthJWTSecretFiles)
	if err != nil {
		return nil, fmt.Errorf("--auth-jwt-secret-file: %w", err)
	}
	ticketSecrets, err := secrets(cfg.TicketSecrets, cfg.TicketSecretFiles)
	if err != nil {
		return nil, fmt.Errorf("--ticket-secret-file: %w", err)
	}
	opts := auth.Options{
		URLs: urls, Log: log,
		JWTSecrets: jwtSecrets, JWKSURL: cfg.AuthJWKSURL, Issuer: cfg.AuthJWTIssuer, Audience: cfg.AuthJWTAudience,
		HookURL: cfg.AuthHookURL, HookHeaders: cfg.AuthHookHeaders, HookTimeout: cfg.AuthHookTimeout,
		TicketSecrets: ticketSecrets, TicketLifetime: cfg.TicketLifetime,
	}
	if opts.On() {
		a.auth, err = auth.New(opts)
	}
	return a, err
}

func (a *access) close() {
	if a.auth != nil {
		a.auth.Close()
	}
}

// door puts a door behind the guard, and behind the limits of whoever gets past it.
func (a *access) door(d hooks.Door) hooks.Door {
	d = a.limits.Door(d)
	if a.auth != nil {
		d = a.auth.Door(d)
	}
	return d
}

// hide takes tickets off requests, before anybody logs them or tells of them.
func (a *access) hide(next http.Handler) http.Handler {
	if a.auth == nil {
		return next
	}
	return a.auth.Hide(next)
}

func (a *access) ticketer() hooks.Ticketer {
	if a.auth == nil {
		return nil
	}
	return a.auth.Ticketer()
}

// permit is for storage.Options.Permit: nil if everybody may do everything, which
// saves the core some looks at uploads.
func (a *access) permit() func(context.Context, storage.Upload) error {
	if a.auth == nil && !a.limits.Enabled() {
		return nil
	}
	return func(ctx context.Context, up storage.Upload) error {
		if err := auth.Permit(ctx, up); err != nil {
			return err
		}
		return a.limits.Authorize(ctx, up)
	}
}

// secrets are those given and those in the files, one in a line.
func secrets(given, files []string) ([]string, error) {
	all := slices.Clone(given)
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		found := strings.Fields(string(text))
		if len(found) == 0 {
			return nil, fmt.Errorf("%s: there is no secret in it", path)
		}
		all = append(all, found...)
	}
	return all, nil
}

// ticket prints what the command ticket was asked for.
func ticket(out io.Writer, t config.Ticket) error {
	all, err := secrets(t.Secrets, t.SecretFiles)
	if err != nil {
		return err
	}
	text, err := auth.Mint(all[0], auth.Ticket{
		Upload: t.Upload, Subject: t.Subject, Expires: time.Now().Add(t.Expires),
		MaxSize: int64(t.MaxSize), Create: t.Create, Download: t.Download,
	})
	if err != nil {
		return err
	}
	if t.URL != "" {
		text = auth.TicketURL(strings.TrimSuffix(t.URL, "/")+"/"+t.Upload, text)
	}
	_, err = fmt.Fprintln(out, text)
	return err
}
