package protocol_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// linked is a store that provides links to files.
type linked struct{ *storagetest.Memory }

func (linked) Link(_ context.Context, up storage.Upload) (string, error) {
	return "https://s3.example/" + up.ID + "?signature=x", nil
}

func TestADownloadIsRedirectedToTheStoresLink(t *testing.T) {
	uploads := storage.New(linked{storagetest.NewMemory(10)}, new(storage.MemoryLocker), new(storage.MemoryCache), storage.Options{Log: slog.New(slog.DiscardHandler)})
	if _, err := uploads.Create(t.Context(), storage.Record{ID: "it", Size: 3}); err != nil {
		t.Fatal(err)
	}
	up, err := uploads.Write(t.Context(), "it", storage.Chunk{Body: bytes.NewReader([]byte("abc"))})
	if err != nil {
		t.Fatal(err)
	}
	for method, want := range map[string]int{http.MethodGet: http.StatusTemporaryRedirect, http.MethodHead: http.StatusOK} {
		w := httptest.NewRecorder()
		if err := protocol.ServeFile(w, httptest.NewRequest(method, "/files/it", nil), uploads, up, time.Minute); err != nil {
			t.Fatal(err)
		}
		if w.Code != want {
			t.Errorf("%s: %d, want %d", method, w.Code, want)
		}
		if h := w.Header(); method == http.MethodGet && (h.Get("Location") != "https://s3.example/it?signature=x" || h.Get("Cache-Control") != "no-store") {
			t.Errorf("%s: %v", method, h)
		}
	}
}

// A ticket that does not allow downloads gets neither the file nor a link to it.
func TestATicketWithoutDownloadGetsNoFile(t *testing.T) {
	uploads := storage.New(linked{storagetest.NewMemory(10)}, new(storage.MemoryLocker), new(storage.MemoryCache), storage.Options{Log: slog.New(slog.DiscardHandler)})
	up, err := uploads.Create(t.Context(), storage.Record{ID: "it", Size: 0})
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r := httptest.NewRequest(method, "/files/it", nil)
		r = r.WithContext(protocol.WithPrincipal(r.Context(), protocol.Principal{Grant: &protocol.Grant{Upload: "it", DenyDownload: true}}))
		w := httptest.NewRecorder()
		if err := protocol.ServeFile(w, r, uploads, up, time.Minute); !errors.Is(err, storage.ErrForbidden) || len(w.Header()) > 0 {
			t.Errorf("%s: %v, %v", method, err, w.Header())
		}
	}
}
