package storage_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

type callerKey struct{}

// as returns the context of a request by the given principal.
func as(who string) context.Context { return context.WithValue(context.Background(), callerKey{}, who) }

// owned returns the options of a server on which each principal has its own uploads.
func owned() storage.Options {
	caller := func(ctx context.Context) string {
		who, _ := ctx.Value(callerKey{}).(string)
		return who
	}
	return storage.Options{Policy: storage.Policy{
		BeforeCreate: func(ctx context.Context, rec *storage.Record) error {
			if caller(ctx) == "" {
				return storage.ErrForbidden
			}
			rec.Owner = caller(ctx)
			return nil
		},
		Authorize: func(ctx context.Context, up storage.Upload) error {
			if up.Owner != caller(ctx) {
				return storage.ErrNotFound
			}
			return nil
		},
	}}
}

func TestDeleteAsAdminIgnoresTheOwner(t *testing.T) {
	u := newWorld(t, owned()).uploads
	if _, err := u.Create(as("ann"), storage.Record{ID: "live", Size: fileSize}); err != nil {
		t.Fatalf("create: %v", err)
	}
	if err := u.DeleteAsAdmin(context.Background(), "live"); err != nil {
		t.Errorf("delete as admin: %v", err)
	}
	for name, err := range map[string]error{
		"get":          func() error { _, err := u.Get(as("ann"), "live"); return err }(),
		"delete again": u.DeleteAsAdmin(context.Background(), "live"),
	} {
		if !errors.Is(err, storage.ErrGone) {
			t.Errorf("%s: %v, want ErrGone", name, err)
		}
	}
	if err := u.DeleteAsAdmin(context.Background(), "never"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("delete an unknown upload: %v, want ErrNotFound", err)
	}
}

func TestOthersCannotReachAnUpload(t *testing.T) {
	w := newWorld(t, owned())
	u, data := w.uploads, storagetest.Content(1, fileSize)
	for _, id := range []string{"live", "part"} {
		if _, err := u.Create(as("ann"), storage.Record{ID: id, Size: fileSize, Partial: id == "part"}); err != nil {
			t.Fatalf("create: %v", err)
		}
	}
	if _, err := u.Write(as("ann"), "part", storage.Chunk{Body: bytes.NewReader(data)}); err != nil {
		t.Fatalf("write: %v", err)
	}
	if _, err := u.Create(as("bob"), storage.Record{ID: "theft", Size: fileSize, Parts: []string{"part"}}); err != nil {
		t.Fatalf("create: %v", err)
	}
	for name, try := range map[string]func(ctx context.Context) error{
		"get":     func(ctx context.Context) error { _, err := u.Get(ctx, "live"); return err },
		"declare": func(ctx context.Context) error { _, err := u.SetSize(ctx, "live", fileSize); return err },
		"write": func(ctx context.Context) error {
			_, err := u.Write(ctx, "live", storage.Chunk{Body: unread{t}})
			return err
		},
		"lock": func(ctx context.Context) error {
			_, err := u.Lock(ctx, "live", func() { t.Error("onContended was called") })
			return err
		},
		"delete": func(ctx context.Context) error { return u.Delete(ctx, "live") },
		"concat": func(ctx context.Context) error { _, err := u.Concat(ctx, "live"); return err },
		"take as a part": func(ctx context.Context) error {
			_, err := u.Concat(as("bob"), "theft")
			return err
		},
	} {
		for _, who := range []string{"bob", ""} {
			if err := try(as(who)); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("%s by %q: %v, want ErrNotFound", name, who, err)
			}
		}
	}
	if up, err := u.Get(as("ann"), "live"); err != nil || !up.Received.Empty() || up.Owner != "ann" {
		t.Errorf("after all that: %v, owner %q, %v is there", err, up.Owner, up.Received)
	}
	if _, err := u.Create(as(""), storage.Record{Size: 1}); !errors.Is(err, storage.ErrForbidden) {
		t.Errorf("create without a principal: %v, want ErrForbidden", err)
	}
}

// Authorize may allow everything to the server itself. A concatenation continued by a
// sweep must still not use parts that its owner could not use.
func TestSweepConcatenatesNothingOfOthers(t *testing.T) {
	opts := owned()
	permit := opts.Policy.Authorize
	opts.Policy.Authorize = func(ctx context.Context, up storage.Upload) error {
		if ctx.Value(callerKey{}) == nil {
			return nil
		}
		return permit(ctx, up)
	}
	w := newWorld(t, opts)
	u := w.uploads
	if _, err := u.Create(as("ann"), storage.Record{ID: "part", Size: fileSize, Partial: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write(as("ann"), "part", storage.Chunk{Body: bytes.NewReader(storagetest.Content(1, fileSize))}); err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"bob", "ann"} {
		if _, err := u.Create(as(who), storage.Record{ID: who, Size: fileSize, Parts: []string{"part"}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.Sweep(w.ctx); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("sweep: %v, want ErrNotFound for Bob's", err)
	}
	if up, err := u.Get(as("ann"), "ann"); err != nil || !up.Finished {
		t.Errorf("Ann's own: %v, finished %v", err, up.Finished)
	}
	if up, err := u.Get(as("bob"), "bob"); err == nil || up.Finished {
		t.Errorf("Bob has it: %v, finished %v", err, up.Finished)
	}
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func TestCreateFailedIsCalledIfAnAcceptedRecordIsNotWritten(t *testing.T) {
	for name, c := range map[string]struct {
		rec  storage.Record
		want []string
	}{
		"it exists":             {storage.Record{ID: "old", Size: 1}, []string{"old"}},
		"its new id is invalid": {storage.Record{Size: 1, Metadata: map[string]string{"id": "../x"}}, []string{"../x"}},
		"it is invalid":         {storage.Record{ID: "it", Size: -2}, nil},
		"it is rejected":        {storage.Record{ID: "refused", Size: 1}, nil},
		"it is written":         {storage.Record{ID: "new", Size: 1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var failed []string
			w := newWorld(t, storage.Options{Policy: storage.Policy{
				BeforeCreate: func(_ context.Context, rec *storage.Record) error {
					if rec.ID == "refused" {
						return storage.ErrForbidden
					}
					rec.ID = cmp.Or(rec.Metadata["id"], rec.ID)
					return nil
				},
				CreateFailed: func(_ context.Context, rec storage.Record) { failed = append(failed, rec.ID) },
			}})
			w.create(storage.Record{ID: "old", Size: 1})
			_, err := w.uploads.Create(w.ctx, c.rec)
			if !slices.Equal(failed, c.want) || (err == nil) != (name == "it is written") {
				t.Errorf("create: %v, failed %q, want %q", err, failed, c.want)
			}
		})
	}
}

func TestBeforeCreateMayChangeTheRecordButNotInvalidateIt(t *testing.T) {
	var change func(*storage.Record)
	w := newWorld(t, storage.Options{Policy: storage.Policy{BeforeCreate: func(_ context.Context, rec *storage.Record) error { change(rec); return nil }}})
	given := storage.Record{Size: 10, Metadata: map[string]string{"filename": "a"}}
	change = func(rec *storage.Record) {
		rec.ID, rec.Key, rec.Metadata["filename"] = "chosen", "videos/chosen.mp4", "b"
	}
	up, err := w.uploads.Create(w.ctx, given)
	if err != nil || up.ID != "chosen" || !up.ClientChosenID || up.Key != "videos/chosen.mp4" || up.Metadata["filename"] != "b" {
		t.Errorf("create: %v, %+v", err, up.Record)
	}
	if given.Metadata["filename"] != "a" {
		t.Error("the caller's metadata was changed")
	}
	for name, c := range map[string]struct {
		change func(*storage.Record)
		want   error
	}{
		"id":       {func(rec *storage.Record) { rec.ID = "../etc" }, storage.ErrBadID},
		"key":      {func(rec *storage.Record) { rec.Key = "a/../b" }, storage.ErrBadRequest},
		"too much": {func(rec *storage.Record) { rec.MaxSize = 9 }, storage.ErrTooLarge},
		"taken":    {func(rec *storage.Record) { rec.ID = "chosen" }, storage.ErrExists},
	} {
		change = c.change
		if _, err := w.uploads.Create(w.ctx, given); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestARecordsOwnLimitsApply(t *testing.T) {
	now := time.Now()
	w := newWorld(t, storage.Options{MaxSize: 100, ExpireAfter: time.Hour, Now: func() time.Time { return now },
		Policy: storage.Policy{BeforeCreate: func(_ context.Context, rec *storage.Record) error {
			rec.MaxSize, rec.ExpireAfter = 50, time.Minute
			return nil
		}}})
	if _, err := w.uploads.Create(w.ctx, storage.Record{ID: "it", Size: storage.Unknown}); err != nil {
		t.Fatal(err)
	}
	up, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Body: bytes.NewReader(make([]byte, 60))})
	if !errors.Is(err, storage.ErrTooLarge) || up.Offset() != 50 {
		t.Errorf("write of 60 bytes: %v, offset %d; want ErrTooLarge, 50", err, up.Offset())
	}
	if _, err := w.uploads.SetSize(w.ctx, "it", 60); !errors.Is(err, storage.ErrTooLarge) {
		t.Errorf("declare 60 bytes: %v, want ErrTooLarge", err)
	}
	now = time.Now().Add(2 * time.Minute)
	if _, err := w.uploads.Get(w.ctx, "it"); !errors.Is(err, storage.ErrGone) {
		t.Errorf("get after two minutes: %v, want ErrGone", err)
	}
}

var errRefused = errors.New("refused by the app")

func TestARejectedUploadHasNoFileUntilItIsAccepted(t *testing.T) {
	data := storagetest.Content(1, fileSize)
	refuse, asked := true, 0
	w := newWorld(t, storage.Options{Policy: storage.Policy{BeforeFinish: func(_ context.Context, up storage.Upload) error {
		if asked++; !up.Complete() || up.Finished {
			t.Errorf("asked about an upload that is complete %v, finished %v", up.Complete(), up.Finished)
		}
		if refuse {
			return errRefused
		}
		return nil
	}}})
	w.create(storage.Record{ID: "it", Size: fileSize})
	if _, err := w.uploads.Write(w.ctx, "it", storage.Chunk{Body: bytes.NewReader(data)}); !errors.Is(err, errRefused) {
		t.Errorf("write: %v, want %v", err, errRefused)
	}
	if _, err := w.uploads.Get(w.ctx, "it"); !errors.Is(err, errRefused) {
		t.Errorf("get: %v, want %v", err, errRefused)
	}
	if up, err := w.memory.Load(w.ctx, "it"); err != nil || up.Finished {
		t.Errorf("load: %v, finished %v", err, up.Finished)
	}
	refuse = false
	if up, err := w.uploads.Get(w.ctx, "it"); err != nil || !up.Finished || asked != 3 {
		t.Errorf("get: %v, finished %v, asked %d times", err, up.Finished, asked)
	}
	w.wantFile("it", data)
}
