// Package ietf implements Resumable Uploads for HTTP (draft-ietf-httpbis-resumable-upload),
// interop versions 3 to 10, which URLSession speaks by itself since iOS 17.
//
//	POST on the collection, or POST and PUT on an upload   create it, with content or without
//	HEAD, GET                                              return the offset
//	PATCH                                                  appends at an offset
//	DELETE                                                 cancels
//
// A creation is announced by 104 (Upload Resumption Supported) with the URL of the upload
// before any content is read. After a break the client asks for the offset there, and
// appends the rest. What differs between versions is in one table, see rules; a client
// without a known version gets the newest rules and no 104.
//
// An append may begin before the current offset: the first bytes stored at an offset stay,
// and repeated ones are dropped. So a client that was given an offset is never answered
// 409 because more of its broken request was stored since. An upload whose known length is
// reached is complete, whatever Upload-Complete says, as in the other protocols. A complete
// one answers appends of what it has with the response to the first.
//
// Once a client has been announced that it may resume, a temporary error is not a response,
// which URLSession would take for final, but a broken connection.
package ietf

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

// Handler handles requests of the protocol. Create it with New.
type Handler struct {
	uploads  *storage.Uploads
	opts     protocol.Options
	finished Responder
	files    files
}

var _ protocol.Protocol = (*Handler)(nil)

// Responder writes the response to a request that has completed an upload.
type Responder func(w http.ResponseWriter, r *http.Request, up storage.Upload)

// New returns a Handler for uploads. The response to a client whose upload is complete is
// written by finished.
func New(uploads *storage.Uploads, opts protocol.Options, finished Responder) *Handler {
	return &Handler{uploads: uploads, opts: opts, finished: finished}
}

// Name implements protocol.Protocol.
func (d *Handler) Name() string { return "ietf" }

// Matches implements protocol.Protocol.
func (d *Handler) Matches(r *http.Request) bool { return Matches(r.Header) }

// AddOptionsHeaders implements protocol.Protocol.
func (d *Handler) AddOptionsHeaders(h http.Header) {
	h.Set("Accept-Patch", partialUpload)
	h.Set(uploadLimit, d.optionsLimits())
}

func (d *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{Handler: d, w: w, r: r, body: protocol.ExchangeOf(r.Context()).Body}
	if err := x.serve(); err != nil {
		x.reject(cmp.Or(x.body.Refused(), err))
	}
}

// announces reports whether the client may be sent 104 (Upload Resumption Supported): only
// if it has sent a version, which each 104 repeats.
func (x *exchange) announces() bool { return x.interop != 0 && !x.opts.NoInterimResponses }

// exchange is a request and what is known of its upload.
type exchange struct {
	*Handler
	request
	w    http.ResponseWriter
	r    *http.Request
	body *transport.Body

	up        storage.Upload // the latest known state; without an ID if there is none
	location  string         // the URL in all responses to this request
	repr      *transport.ReprDigest
	announced bool // the client knows from a 104 that it may resume
	discarded bool // the upload has been removed because of this request
	reported  reported
}

func (x *exchange) serve() (err error) {
	id := x.opts.URLs.ID(x.r)
	if x.request, err = parse(x.r, id); err != nil {
		return err
	}
	// Body verifies digests of the content. Repr-Digest is that of the file, which may
	// arrive in several requests.
	content := x.r.WithContext(x.r.Context())
	content.Header = x.r.Header.Clone()
	content.Header.Del("Repr-Digest")
	if err := x.body.VerifyDigests(content); err != nil {
		return err
	}
	if x.repr, err = transport.NewReprDigest(x.r.Header); err != nil {
		return err
	}
	if sum, ok := x.repr.CRC32C(); ok {
		x.r = x.r.WithContext(storage.Expect(x.r.Context(), sum))
	}
	if creates := x.method == http.MethodPost || x.method == http.MethodPut; creates && (id != "" || x.method == http.MethodPost) {
		return x.create()
	}
	if err := storage.CheckID(id); err != nil {
		return errors.Join(storage.ErrNotFound, err)
	}
	// The client resumes, so it has been announced that it may.
	x.announced = x.announces()
	switch x.method {
	case http.MethodPatch:
		return x.append()
	case http.MethodDelete:
		return x.cancel()
	}
	return x.query()
}
