package webhook

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"testing"
	"testing/synctest"

	tusd "github.com/tus/tusd/v2/pkg/hooks"

	"github.com/holdfast-upload/holdfast/storage"
)

// bytesIn returns the metadata in MetaDataBase64.
func bytesIn(t *testing.T, body []byte) map[string]string {
	t.Helper()
	var read struct{ MetaDataBase64 map[string][]byte }
	if err := json.Unmarshal(body, &read); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for name, value := range read.MetaDataBase64 {
		out[name] = string(value)
	}
	return out
}

// F27: a hook's JSON holds text only. Other metadata are in it in base64 too.
func TestF27HooksHoldTheBytesOfBinaryMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := []tusd.HookType{tusd.HookPreCreate, tusd.HookPostCreate, tusd.HookPreFinish, tusd.HookPostFinish}
		n, app := blockingEvents(t, `{}`, events...)
		sent := storage.Metadata{"filename": "sp\xe4t.mp4", "cut": "\xe2\x82", "text": "spät", "\xff": "x", "empty": ""}
		if _, err := n.tryUpload(t.Context(), storage.Record{ID: "a", Size: 5, Metadata: sent}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		all := app.received()
		if len(all) != len(events) {
			t.Fatalf("%d hooks, want %d", len(all), len(events))
		}
		for _, h := range all {
			text := map[string]string(h.hook.Event.Upload.MetaData)
			if want := (map[string]string{"filename": "sp\ufffdt.mp4", "cut": "\ufffd\ufffd", "text": "spät", "\ufffd": "x", "empty": ""}); !maps.Equal(text, want) {
				t.Errorf("%s: text %q, want %q", h.hook.Type, text, want)
			}
			if got, want := bytesIn(t, h.body), (map[string]string{"filename": "sp\xe4t.mp4", "cut": "\xe2\x82", "\ufffd": "x"}); !maps.Equal(got, want) {
				t.Errorf("%s: bytes %q, want %q", h.hook.Type, got, want)
			}
		}
	})
}

func TestHooksWithTextMetadataHaveNoMetaDataBase64(t *testing.T) {
	n, app := blockingEvents(t, `{}`, tusd.HookPreCreate)
	if _, err := n.uploads.Create(t.Context(), storage.Record{ID: "a", Size: 5, Metadata: storage.Metadata{"filename": "ä"}}); err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal(app.received()[0].body, &body); err != nil || body["MetaDataBase64"] != nil {
		t.Errorf("%v: %s", err, app.received()[0].body)
	}
}

// F27: if the app returns the metadata with an additional entry, the other entries keep
// their bytes.
func TestF27MetadataReturnedByPreCreateKeepTheirBytes(t *testing.T) {
	app := &fakeApp{answer: func(_ int, h received) (int, http.Header, string, error) {
		meta := h.hook.Event.Upload.MetaData
		meta["user"], meta["text"] = "7", "changed"
		text, err := json.Marshal(meta)
		return 200, nil, fmt.Sprintf(`{"ChangeFileInfo":{"MetaData":%s}}`, text), err
	}}
	n := startNode(t, options(app, tusd.HookPreCreate), newMemory(), &storage.MemoryLocker{})
	sent := storage.Metadata{"filename": "sp\xe4t.mp4", "\xff": "x", "text": "\xff"}
	up, err := n.uploads.Create(t.Context(), storage.Record{ID: "a", Size: 5, Metadata: sent})
	if err != nil {
		t.Fatal(err)
	}
	if want := (storage.Metadata{"filename": "sp\xe4t.mp4", "\xff": "x", "text": "changed", "user": "7"}); !maps.Equal(up.Metadata, want) {
		t.Errorf("metadata %q, want %q", up.Metadata, want)
	}
}
