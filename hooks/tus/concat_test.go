package tus

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

var errNever = errors.New("concatenation failed")

// concatHandler is a Handler, and another node with the same store, which holds the partial
// uploads "a" and "b".
type concatHandler struct {
	*testing.T
	memory *storagetest.Memory
	router http.Handler
	other  *storage.Uploads

	final  string                   // the id of the final upload, once it exists
	accept func(final string) error // BeforeFinish of the handler's node
}

func newConcatHandler(t *testing.T) *concatHandler {
	j := &concatHandler{T: t, memory: storagetest.NewMemory(4096), accept: func(string) error { return nil }}
	quiet := slog.New(slog.DiscardHandler)
	node := func(opts storage.Options) *storage.Uploads {
		opts.Log = quiet
		return storage.New(j.memory.Node(), new(storage.MemoryLocker), new(storage.MemoryCache), opts)
	}
	j.other = node(storage.Options{})
	uploads := node(storage.Options{Policy: storage.Policy{BeforeFinish: func(_ context.Context, up storage.Upload) error {
		j.final = up.ID
		return j.accept(up.ID)
	}}})
	opts := protocol.Options{URLs: protocol.URLs{BasePath: "/files/"}, Log: quiet}
	handler, err := New(uploads, opts)
	if err != nil {
		t.Fatal(err)
	}
	j.router = protocol.Router(protocol.CORS{}, opts, handler)
	for _, id := range []string{"a", "b"} {
		_, err := j.other.Create(t.Context(), storage.Record{ID: id, Size: 10, Partial: true})
		if err == nil {
			_, err = j.other.Write(t.Context(), id, storage.Chunk{Body: bytes.NewReader(make([]byte, 10))})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return j
}

// post requests the concatenation of the two.
func (j *concatHandler) post() *http.Response {
	r := httptest.NewRequest(http.MethodPost, "/files/", nil)
	r.Header.Set("Tus-Resumable", version)
	r.Header.Set("Upload-Concat", "final;/files/a /files/b")
	w := httptest.NewRecorder()
	j.router.ServeHTTP(w, r)
	return w.Result()
}

func (j *concatHandler) wantResponse(answer *http.Response, status int) {
	j.Helper()
	if answer.StatusCode != status {
		j.Errorf("answered %s, want %d", answer.Status, status)
	}
	if retry := answer.Header.Get("Retry-After"); (retry != "") != (status == http.StatusServiceUnavailable) {
		j.Errorf("answered %s, Retry-After %q", answer.Status, retry)
	}
}

// The app knows the upload, and the parts may be gone.
func TestUploadConcatenatedByAnotherNodeIsKeptIfThisNodeFails(t *testing.T) {
	j := newConcatHandler(t)
	j.accept = func(final string) error {
		_, err := j.other.Concat(t.Context(), final)
		for _, id := range []string{"a", "b"} {
			err = errors.Join(err, j.other.Delete(t.Context(), id))
		}
		if err != nil {
			t.Error(err)
		}
		return errNever
	}
	j.wantResponse(j.post(), http.StatusCreated)
	if up, err := j.other.Get(t.Context(), j.final); err != nil || !up.Finished || up.Size != 20 {
		t.Errorf("get: %v, finished %v, %d bytes", err, up.Finished, up.Size)
	}
}

// The client creates another upload, which must not conflict with this one's key or limit.
func TestTemporaryConcatenationFailureDoesNotBlockTheNextAttempt(t *testing.T) {
	j := newConcatHandler(t)
	j.accept = func(final string) error { return storage.Unavailable("ask", final, errNever) }
	j.wantResponse(j.post(), http.StatusServiceUnavailable)
	if _, err := j.memory.Load(t.Context(), j.final); !errors.Is(err, storage.ErrGone) {
		t.Errorf("load: %v, want ErrGone", err)
	}
	j.accept = func(string) error { return nil }
	j.wantResponse(j.post(), http.StatusCreated)
	if up, err := j.other.Get(t.Context(), j.final); err != nil || !up.Finished || up.Size != 20 {
		t.Errorf("get: %v, finished %v, %d bytes", err, up.Finished, up.Size)
	}
}

// No client has its URL.
func TestPermanentConcatenationFailureLeavesNoUpload(t *testing.T) {
	j := newConcatHandler(t)
	j.accept = func(string) error { return errNever }
	j.wantResponse(j.post(), http.StatusInternalServerError)
	if _, err := j.memory.Load(t.Context(), j.final); !errors.Is(err, storage.ErrGone) {
		t.Errorf("load: %v, want ErrGone", err)
	}
}
