package tus

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"

	"github.com/holdfast-upload/holdfast/storage"
)

// store is the core as tusd's handler wants to see it.
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
		get = s.uploads.GetFlushed // a client that resumes asks where to go on
	}
	up, err := s.loaded(ctx)(get(ctx, id))
	if err == nil {
		x.found[id] = up
	}
	return up, err
}

// seen makes what the core returned what tusd wants, and remembers it for the answer.
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

// upload is an upload of the core as tusd's handler wants to see it.
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

// WriteChunk implements handler.Upload. It returns how far beyond the given offset that
// of the upload is then: further than src is long where bytes that came early follow.
func (u *upload) WriteChunk(ctx context.Context, offset int64, src io.Reader) (int64, error) {
	x := responseFrom(ctx)
	src = &noDeadlineReader{src, http.NewResponseController(x), x.body.Length()}
	err := errors.Join(u.write(ctx, offset, src), x.abort())
	return max(u.up.Offset()-offset, 0), x.fromError(err)
}

// write stores what src yields.
func (u *upload) write(ctx context.Context, offset int64, src io.Reader) error {
	x := responseFrom(ctx)
	if u.up.Size != storage.Unknown {
		x.body.LimitSpool(u.up.Size-offset, storage.ErrTooLarge) // as tusd has it
	}
	up, err := u.uploads.Write(ctx, u.up.ID, offset, src)
	u.refresh(x, up)
	return err
}

// FinishUpload implements handler.Upload. The core has finished the upload when
// its last byte came; this makes sure of it.
func (u *upload) FinishUpload(ctx context.Context) error {
	x := responseFrom(ctx)
	if u.up.Finished {
		return nil
	}
	up, err := u.uploads.Get(ctx, u.up.ID)
	u.refresh(x, up)
	return x.fromError(err)
}

// GetReader implements handler.Upload. Nobody calls it: files are served elsewhere.
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

// ConcatUploads implements handler.ConcatableUpload. The client is not told the
// URL of an upload that fails here, and makes another: this one must not be in its way.
func (u *upload) ConcatUploads(ctx context.Context, _ []handler.Upload) error {
	x := responseFrom(ctx)
	up, err := u.uploads.Concat(ctx, u.up.ID)
	if err != nil {
		up, err = u.abandon(ctx, err)
	}
	if err == nil {
		u.refresh(x, up)
	}
	return x.fromError(err)
}

// giveUp removes an upload that was not joined, unless somebody else has joined it and
// told the app: the parts may be gone since.
func (u *upload) abandon(ctx context.Context, cause error) (storage.Upload, error) {
	up, err := u.uploads.DeleteIfUnfinished(ctx, u.up.ID)
	if err == nil && up.Finished {
		return up, nil
	}
	return up, errors.Join(cause, err)
}

// unhurried lifts the deadline for the answer once the body has ended: tusd sets
// one with every read, and storing the last bytes may take longer.
type noDeadlineReader struct {
	io.Reader
	ctl    *http.ResponseController
	length int64
}

// Expect implements storage.Expecting.
func (u *noDeadlineReader) Length() int64 { return u.length }

func (u *noDeadlineReader) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if err != nil {
		_ = u.ctl.SetWriteDeadline(time.Time{})
	}
	return n, err
}
