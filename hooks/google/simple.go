package google

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"regexp"
	"strings"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

// createMultipart creates an upload from a multipart/related body, which has two parts: the
// metadata in JSON, and the file.
func (h *Handler) createMultipart(w http.ResponseWriter, r *http.Request, t target, body *transport.Body) error {
	boundary, err := boundaryOf(r.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	parts := multipart.NewReader(body, boundary)
	metadata, err := nextPart(parts, body)
	if err != nil {
		return err
	}
	var given properties
	if err := protocol.ReadJSON(metadata, &given); err != nil {
		return err
	}
	file, err := nextPart(parts, body)
	if err != nil {
		return err
	}
	if given.ContentType == "" {
		given.ContentType = file.Header.Get("Content-Type")
	}
	return h.store(w, r, t, given, body, file)
}

// singleQuoted matches a boundary in single quotes, as gcloud and gsutil send it. To MIME
// these are characters of the boundary, but they are not in the body.
var singleQuoted = regexp.MustCompile(`(?i)(;\s*boundary=)'([^'"\\]+)'`)

// boundaryOf returns the boundary of a multipart body.
func boundaryOf(contentType string) (string, error) {
	typ, params, err := mime.ParseMediaType(singleQuoted.ReplaceAllString(contentType, `$1"$2"`))
	if err != nil || !strings.HasPrefix(typ, "multipart/") || params["boundary"] == "" {
		return "", fmt.Errorf("%w: uploadType=multipart needs multipart/related with a boundary", problem.ErrMediaType)
	}
	return params["boundary"], nil
}

// nextPart returns the next part of a body. A missing or malformed one is the client's
// error, unless the body itself has failed.
func nextPart(parts *multipart.Reader, body *transport.Body) (*multipart.Part, error) {
	part, err := parts.NextRawPart()
	if err == nil {
		return part, nil
	}
	if failed := body.Err(); failed != nil && failed != io.EOF {
		return nil, fmt.Errorf("%w: %w", storage.ErrBodyAborted, err)
	}
	return nil, fmt.Errorf("%w: the body must have two parts, the metadata and the file", storage.ErrBadRequest)
}

// createMedia creates an upload from a body that is the file.
func (h *Handler) createMedia(w http.ResponseWriter, r *http.Request, t target, body *transport.Body) error {
	return h.store(w, r, t, properties{ContentType: r.Header.Get("Content-Type")}, body, body)
}

// store creates an upload from a whole file, which is in the body, and answers with its
// object.
func (h *Handler) store(w http.ResponseWriter, r *http.Request, t target, given properties, body *transport.Body, file io.Reader) error {
	want, err := parseHashes(r.Header)
	if err == nil {
		err = want.add(given.CRC32C, given.MD5)
	}
	if err != nil {
		return err
	}
	rec, err := given.record(r, t)
	if err != nil {
		return err
	}
	if want.md5 != nil { // there is no upload unless it is right
		rec.Metadata[metaMD5] = base64.StdEncoding.EncodeToString(want.md5)
	}
	up, err := h.storeFile(r.Context(), rec, newVerifier(file, want), body)
	if err != nil {
		return err
	}
	body.Drain(r) // what follows the last part
	h.writeObject(w, r, up)
	return nil
}

// smallFile is the number of bytes up to which a file is read before its upload is created,
// so that its size is known then, which costs a store less.
const smallFile = 1 << 20

// storeFile creates an upload and stores its file.
func (h *Handler) storeFile(ctx context.Context, rec storage.Record, file *verifier, body storage.CanAbort) (storage.Upload, error) {
	begin := h.opts.Spools.New()
	defer begin.Close()
	err := begin.Fill(io.LimitReader(file, smallFile))
	switch {
	case storage.Transient(err), errors.Is(err, storage.ErrBadRequest):
		return storage.Upload{}, err
	case err != nil:
		return storage.Upload{}, fmt.Errorf("%w: %w", storage.ErrBodyAborted, err)
	}
	src, err := begin.Reader()
	if err != nil {
		return storage.Upload{}, err
	}
	if begin.Size() < smallFile {
		if rec.Size, err = begin.Size(), file.check(); err != nil {
			return storage.Upload{}, err
		}
	}
	up, err := h.uploads.Create(ctx, rec)
	if err != nil || up.Finished {
		return up, err
	}
	done, err := h.write(ctx, up, file, stoppable{io.MultiReader(src, file), body})
	if err != nil { // the client will send all of it again, to a new upload
		_, deleteErr := h.uploads.DeleteIfUnfinished(ctx, up.ID)
		return up, errors.Join(err, deleteErr)
	}
	return done, nil
}

// stoppable is a reader whose body can be aborted.
type stoppable struct {
	io.Reader
	storage.CanAbort
}

// write stores the file of an upload. One of unknown size gets it, and so is finished, only
// once all of the file has arrived and matches its hashes.
func (h *Handler) write(ctx context.Context, up storage.Upload, file *verifier, src io.Reader) (storage.Upload, error) {
	now, err := h.uploads.Write(ctx, up.ID, storage.Chunk{Length: up.Size, Body: src})
	if err != nil || up.Size != storage.Unknown {
		return now, err
	}
	if err := file.check(); err != nil {
		return now, err
	}
	return h.uploads.SetSize(context.WithoutCancel(ctx), up.ID, file.n)
}
