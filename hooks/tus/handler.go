// Package tus implements the tus protocol, version 1.0, with tusd's handler on top of
// holdfast's core.
//
// tusd parses requests and writes responses. This package adapts the core to tusd's store
// and locker interfaces, and adds what tusd lacks: the extensions expiration, checksum and
// checksum-trailer, Retry-After for temporary errors, and reading a body to its end before
// it is rejected. See tusdVersion for the places that depend on its version.
//
// As in the other protocols, Upload-Offset is the end of the first contiguous range, so it
// jumps forward over bytes that were received out of order.
package tus

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

const (
	version     = "1.0.0"
	contentType = "application/offset+octet-stream"
)

// Handler handles requests of the tus protocol. Create it with New.
type Handler struct {
	uploads *storage.Uploads
	opts    protocol.Options
	tusd    *handler.Handler
}

var _ protocol.Protocol = (*Handler)(nil)

// New returns a Handler for uploads.
func New(uploads *storage.Uploads, opts protocol.Options) (*Handler, error) {
	composer := handler.NewStoreComposer()
	s := &store{uploads}
	composer.UseCore(s)
	composer.UseTerminater(s)
	composer.UseConcater(s)
	composer.UseLengthDeferrer(s)
	composer.UseLocker(&locker{uploads})
	tusd, err := handler.NewHandler(handler.Config{
		StoreComposer:      composer,
		BasePath:           opts.URLs.BasePath,
		MaxSize:            uploads.MaxSize(),
		NetworkTimeout:     opts.IdleTimeout,
		AcquireLockTimeout: opts.LockTimeout,
		// tusd keeps every request in memory for this long after its end, so that the
		// store can complete. The core completes without it.
		GracefulRequestCompletionTimeout: 10 * time.Millisecond,
		RespectForwardedHeaders:          true, // setOrigin sets them
		DisableDownload:                  true, // protocol.ServeFile serves files for all protocols
		Cors:                             &handler.CorsConfig{Disable: true},
		Logger:                           discardLogger(),
	})
	if err != nil {
		return nil, fmt.Errorf("set up tusd's handler: %w", err)
	}
	return &Handler{uploads, opts, tusd}, nil
}

// Name implements protocol.Protocol.
func (d *Handler) Name() string { return "tus" }

// Matches implements protocol.Protocol: tus takes the requests that match no other protocol.
func (d *Handler) Matches(*http.Request) bool { return true }

// AddOptionsHeaders implements protocol.Protocol (tus 1.0, section OPTIONS).
func (d *Handler) AddOptionsHeaders(h http.Header) {
	extensions := d.tusd.SupportedExtensions() + ",checksum,checksum-trailer"
	if d.uploads.ExpireAfter() > 0 {
		extensions += ",expiration"
	}
	h.Set("Tus-Resumable", version)
	h.Set("Tus-Version", version)
	h.Set("Tus-Extension", extensions)
	h.Set("Tus-Checksum-Algorithm", transport.ChecksumAlgorithms)
	if limit := d.uploads.MaxSize(); limit > 0 {
		h.Set("Tus-Max-Size", strconv.FormatInt(limit, 10))
	}
}

func (d *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	exchange := protocol.ExchangeOf(r.Context())
	x := &response{w: w, r: r, handler: d, body: exchange.Body, found: map[string]handler.Upload{}}
	exchange.State, exchange.BeforeHeader = x, x.beforeHeader
	var err error
	if err = x.body.VerifyDigests(r); err == nil {
		err = d.check(r)
	}
	if err != nil {
		x.reject(err)
		return
	}
	if limit := d.uploads.MaxSize(); limit > 0 {
		x.body.LimitSpool(limit, storage.ErrTooLarge)
	}
	inner := r.WithContext(r.Context())
	d.setOrigin(inner)
	http.StripPrefix(d.opts.URLs.BasePath, d.tusd).ServeHTTP(w, inner)
}

// check rejects requests that tusd would accept, or reject with a less specific error.
func (d *Handler) check(r *http.Request) error {
	if id := d.opts.URLs.ID(r); id != "" {
		if err := storage.CheckID(id); err != nil {
			return err
		}
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return handler.NewError("ERR_CONTENT_ENCODING", "send the bytes as they are, without Content-Encoding", http.StatusUnsupportedMediaType)
	}
	switch r.Method {
	case http.MethodPost:
		if err := checkConcat(r.Header.Get("Upload-Concat")); err != nil {
			return err
		}
		return checkMetadata(r.Header.Values("Upload-Metadata"))
	case http.MethodPatch:
		if r.Header.Get("Tus-Resumable") == version && r.Header.Get("Content-Type") != contentType {
			return handler.NewError("ERR_INVALID_CONTENT_TYPE", "a PATCH needs Content-Type: "+contentType, http.StatusUnsupportedMediaType)
		}
	}
	return nil
}

// setOrigin makes tusd build the same URLs as the other protocols: it replaces the
// forwarding headers by ones with the result of URLs.Origin.
func (d *Handler) setOrigin(r *http.Request) {
	scheme, host := d.opts.URLs.Origin(r)
	r.Header = r.Header.Clone()
	r.Header.Del("Forwarded")
	r.Header.Set("X-Forwarded-Proto", scheme)
	r.Header.Set("X-Forwarded-Host", host)
	if parts, ok := strings.CutPrefix(r.Header.Get("Upload-Concat"), "final;"); ok && d.opts.URLs.PublicURL != "" {
		urls := strings.Fields(parts)
		for i := range urls {
			urls[i] = d.opts.URLs.Relative(urls[i])
		}
		r.Header.Set("Upload-Concat", "final;"+strings.Join(urls, " "))
	}
}
