package tus

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"

	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

// store adapts the core to tusd's data store interfaces.
type store struct{ uploads *storage.Uploads }

var (
	_ handler.DataStore               = (*store)(nil)
	_ handler.TerminaterDataStore     = (*store)(nil)
	_ handler.ConcaterDataStore       = (*store)(nil)
	_ handler.LengthDeferrerDataStore = (*store)(nil)
)

// NewUpload implements handler.DataStore.
func (s *store) NewUpload(ctx context.Context, info handler.FileInfo) (handler.Upload, error) {
	rec := storage.Record{ID: info.ID, Size: info.Size, Metadata: storage.Metadata(info.MetaData), Partial: info.IsPartial, Parts: info.PartialUploads}
	if info.SizeIsDeferred {
		rec.Size = storage.Unknown
	}
	return s.loaded(ctx)(s.uploads.Create(ctx, rec))
}

// GetUpload implements handler.DataStore.
func (s *store) GetUpload(ctx context.Context, id string) (handler.Upload, error) {
	x := responseFrom(ctx)
	if known, ok := x.found[id]; ok {
		return known, nil
	}
	get := s.uploads.Get
	if x.r.Method == http.MethodHead {
		get = s.uploads.GetFlushed // the client will resume at this offset
	}
	up, err := s.loaded(ctx)(get(ctx, id))
	if err == nil {
		x.found[id] = up
	}
	return up, err
}

// loaded returns a function that converts the core's result for tusd, and remembers the
// upload for the response headers.
func (s *store) loaded(ctx context.Context) func(storage.Upload, error) (handler.Upload, error) {
	x := responseFrom(ctx)
	return func(up storage.Upload, err error) (handler.Upload, error) {
		if err != nil {
			return nil, x.fromError(err)
		}
		u := &upload{s.uploads, up}
		u.refresh(x, up)
		return u, nil
	}
}

// AsTerminatableUpload implements handler.TerminaterDataStore.
func (s *store) AsTerminatableUpload(u handler.Upload) handler.TerminatableUpload { return u.(*upload) }

// AsConcatableUpload implements handler.ConcaterDataStore.
func (s *store) AsConcatableUpload(u handler.Upload) handler.ConcatableUpload { return u.(*upload) }

// AsLengthDeclarableUpload implements handler.LengthDeferrerDataStore.
func (s *store) AsLengthDeclarableUpload(u handler.Upload) handler.LengthDeclarableUpload {
	return u.(*upload)
}

// upload adapts an upload of the core to tusd's interfaces.
type upload struct {
	uploads *storage.Uploads
	up      storage.Upload
}

func (u *upload) refresh(x *response, up storage.Upload) {
	if up.ID != "" {
		u.up, x.upload = up, up
	}
}

// GetInfo implements handler.Upload.
func (u *upload) GetInfo(ctx context.Context) (handler.FileInfo, error) {
	info := handler.FileInfo{
		ID: u.up.ID, Size: u.up.Size, Offset: u.up.Offset(), MetaData: handler.MetaData(maps.Clone(u.up.Metadata)),
		IsPartial: u.up.Partial, IsFinal: len(u.up.Parts) > 0, PartialUploads: u.up.Parts,
	}
	if u.up.Size == storage.Unknown {
		info.Size, info.SizeIsDeferred = 0, true
	}
	responseFrom(ctx).acceptRepeated(&info)
	return info, nil
}

// WriteChunk implements handler.Upload. It returns by how many bytes the upload's offset is
// then beyond the given one: more than src has if bytes received out of order follow.
func (u *upload) WriteChunk(ctx context.Context, offset int64, src io.Reader) (int64, error) {
	x := responseFrom(ctx)
	src = &noDeadlineReader{src, http.NewResponseController(x.w), x.body}
	err := errors.Join(u.write(ctx, offset, src), x.abortCause())
	return max(u.up.Offset()-offset, 0), x.fromError(err)
}

// write stores the bytes of src.
func (u *upload) write(ctx context.Context, offset int64, src io.Reader) error {
	x := responseFrom(ctx)
	if u.up.Size != storage.Unknown {
		x.body.LimitSpool(u.up.Size-offset, storage.ErrTooLarge) // as tusd does while it reads
	}
	up, err := u.uploads.Write(ctx, u.up.ID, storage.Chunk{Offset: offset, Length: x.body.Length(), Body: src})
	u.refresh(x, up)
	return err
}

// FinishUpload implements handler.Upload. The core has normally finished the upload with
// its last byte; otherwise Get retries this.
func (u *upload) FinishUpload(ctx context.Context) error {
	x := responseFrom(ctx)
	if u.up.Finished {
		return nil
	}
	up, err := u.uploads.Get(ctx, u.up.ID)
	u.refresh(x, up)
	return x.fromError(err)
}

// GetReader implements handler.Upload. tusd does not call it, as downloads are disabled.
func (u *upload) GetReader(ctx context.Context) (io.ReadCloser, error) {
	return u.uploads.Open(ctx, u.up)
}

// Terminate implements handler.TerminatableUpload.
func (u *upload) Terminate(ctx context.Context) error {
	return responseFrom(ctx).fromError(u.uploads.Delete(ctx, u.up.ID))
}

// DeclareLength implements handler.LengthDeclarableUpload.
func (u *upload) DeclareLength(ctx context.Context, length int64) error {
	x := responseFrom(ctx)
	up, err := u.uploads.SetSize(ctx, u.up.ID, length)
	u.refresh(x, up)
	return x.fromError(err)
}

// ConcatUploads implements handler.ConcatableUpload. If it fails, tusd's response has no
// URL and the client creates another upload, so this one is deleted.
func (u *upload) ConcatUploads(ctx context.Context, _ []handler.Upload) error {
	x := responseFrom(ctx)
	up, err := u.uploads.Concat(ctx, u.up.ID)
	if err != nil {
		up, err = u.deleteUnlessFinished(ctx, err)
	}
	if err == nil {
		u.refresh(x, up)
	}
	return x.fromError(err)
}

// deleteUnlessFinished deletes an upload whose concatenation failed. If another node has
// concatenated it, it returns that upload: the app may know it, and the parts may be gone.
func (u *upload) deleteUnlessFinished(ctx context.Context, cause error) (storage.Upload, error) {
	up, err := u.uploads.DeleteIfUnfinished(ctx, u.up.ID)
	if err == nil && up.Finished {
		return up, nil
	}
	return up, errors.Join(cause, err)
}

// noDeadlineReader clears the write deadline at the end of the body: tusd sets it with
// every read, and storing the last bytes may take longer.
type noDeadlineReader struct {
	io.Reader
	ctl  *http.ResponseController
	body *transport.Body
}

// Abort implements storage.CanAbort.
func (u *noDeadlineReader) Abort(err error) { u.body.Abort(err) }

func (u *noDeadlineReader) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if err != nil {
		_ = u.ctl.SetWriteDeadline(time.Time{})
	}
	return n, err
}
