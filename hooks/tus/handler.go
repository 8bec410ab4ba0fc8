// Package tus is the door for clients of the tus protocol, version 1.0: tusd's
// handler, embedded over holdfast's core.
//
// tusd parses and answers requests; this package gives it a store and a locker
// that are the core, and adds what it lacks: expiration, checksum and
// checksum-trailer, 423 with Retry-After for what may pass, and bodies that are
// read to their end before they are refused.
//
// What is reported through the other doors holds here too: Upload-Offset is the
// end of the first unbroken range, so bytes that came early make it jump.
package tus

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"

	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/storage"
)

const (
	version     = "1.0.0"
	contentType = "application/offset+octet-stream"

	// maxMetadata is how long an Upload-Metadata header may be, in bytes.
	maxMetadata = 64 << 10
)

// Door is the tus door. Create it with New.
type Handler struct {
	uploads *storage.Uploads
	opts    hooks.Options
	tusd    *handler.Handler
}

var _ hooks.Protocol = (*Handler)(nil)

// New returns the door to uploads.
func New(uploads *storage.Uploads, opts hooks.Options) (*Handler, error) {
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
		// tusd keeps every request in memory for so long after its end, for stores
		// that still work on it. This one works on whether or not anybody waits.
		GracefulRequestCompletionTimeout: 10 * time.Millisecond,
		RespectForwardedHeaders:          true, // set by tellOrigin
		DisableDownload:                  true, // the file is served in one place for all doors
		Cors:                             &handler.CorsConfig{Disable: true},
		Logger:                           discardLogger(),
	})
	if err != nil {
		return nil, fmt.Errorf("set up tusd's handler: %w", err)
	}
	return &Handler{uploads, opts, tusd}, nil
}

// Name implements hooks.Door.
func (d *Handler) Name() string { return "tus" }

// Claims implements hooks.Door: tusd answers whatever no other door does.
func (d *Handler) Matches(*http.Request) bool { return true }

// Advertise implements hooks.Door (tus 1.0, section OPTIONS).
func (d *Handler) AddOptionsHeaders(h http.Header) {
	extensions := d.tusd.SupportedExtensions() + ",checksum,checksum-trailer"
	if d.uploads.ExpireAfter() > 0 {
		extensions += ",expiration"
	}
	h.Set("Tus-Resumable", version)
	h.Set("Tus-Version", version)
	h.Set("Tus-Extension", extensions)
	h.Set("Tus-Checksum-Algorithm", hooks.ChecksumAlgorithms)
	if limit := d.uploads.MaxSize(); limit > 0 {
		h.Set("Tus-Max-Size", strconv.FormatInt(limit, 10))
	}
}

func (d *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &response{ResponseWriter: w, r: r, handler: d, found: map[string]handler.Upload{}}
	x.body = hooks.NewBody(w, r, d.opts.IdleTimeout, d.opts.Shutdown)
	defer x.body.Close()
	var err error
	if err = x.body.CheckHeader(); err == nil {
		err = d.check(r)
	}
	if err != nil {
		x.reject(err)
		return
	}
	if limit := d.uploads.MaxSize(); limit > 0 {
		x.body.LimitSpool(limit, storage.ErrTooLarge)
	}
	inner := r.WithContext(context.WithValue(r.Context(), responseKey{}, x))
	inner.Body = x.body
	d.tellOrigin(inner)
	http.StripPrefix(d.opts.URLs.BasePath, d.tusd).ServeHTTP(x, inner)
}

// check refuses what tusd would let pass, or answer less clearly.
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

// tellOrigin makes tusd build the same URLs as everybody else does: it is told of
// just one proxy, which says what URLs.Origin found.
func (d *Handler) tellOrigin(r *http.Request) {
	scheme, host := d.opts.URLs.Origin(r)
	r.Header = r.Header.Clone()
	r.Header.Del("Forwarded")
	r.Header.Set("X-Forwarded-Proto", scheme)
	r.Header.Set("X-Forwarded-Host", host)
}
