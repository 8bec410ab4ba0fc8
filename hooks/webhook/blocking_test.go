package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tusd "github.com/tus/tusd/v2/pkg/hooks"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
)

// blockingEvents starts a node whose app responds with this JSON.
func blockingEvents(t *testing.T, body string, events ...tusd.HookType) (*node, *fakeApp) {
	t.Helper()
	app := &fakeApp{answer: func(int, received) (int, http.Header, string, error) { return 200, nil, body, nil }}
	return startNode(t, options(app, events...), newMemory(), &storage.MemoryLocker{}), app
}

func TestPreCreateMayRejectAnUpload(t *testing.T) {
	for body, want := range map[string]problem.Rejection{
		`{"RejectUpload":true}`: {Status: 400, Header: map[string]string{"Content-Type": "text/plain; charset=utf-8"},
			Body: "ERR_UPLOAD_REJECTED: upload creation has been rejected by server\n"},
		`{"RejectUpload":true,"HTTPResponse":{"StatusCode":402,"Body":"{\"pay\":1}","Header":{"Content-Type":"application/json","X-Q":"0"}}}`: {Status: 402,
			Header: map[string]string{"Content-Type": "application/json", "X-Q": "0"}, Body: `{"pay":1}`},
	} {
		n, _ := blockingEvents(t, body, tusd.HookPreCreate)
		_, err := n.uploads.Create(t.Context(), storage.Record{ID: "a", Size: 5})
		var got *problem.Rejection
		if !errors.As(err, &got) || got.Status != want.Status || got.Body != want.Body || !maps.Equal(got.Header, want.Header) {
			t.Errorf("%s: %+v (%v), want %+v", body, got, err, want)
		}
		if _, err := n.uploads.Get(t.Context(), "a"); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s: the rejected upload exists: %v", body, err)
		}
	}
}

func TestPreCreateMayChangeTheUpload(t *testing.T) {
	n, app := blockingEvents(t, `{"ChangeFileInfo":{"ID":"chosen-by-app","MetaData":{"owner":"7"},"Storage":{"Key":"users/7/photo"}},
		"MaxSize":100,"ExpireAfter":60}`, tusd.HookPreCreate)
	up, err := n.uploads.Create(t.Context(), storage.Record{Size: 5, Metadata: map[string]string{"filename": "x"}})
	if err != nil {
		t.Fatal(err)
	}
	if up.ID != "chosen-by-app" || up.Key != "users/7/photo" || up.MaxSize != 100 || up.ExpireAfter != time.Minute ||
		!maps.Equal(up.Metadata, map[string]string{"owner": "7"}) {
		t.Errorf("created %+v", up.Record)
	}
	info := app.received()[0].hook.Event.Upload
	if info.ID != "" || info.Size != 5 || info.MetaData["filename"] != "x" {
		t.Errorf("asked about %+v", info)
	}
	stored, err := n.uploads.Get(t.Context(), "chosen-by-app")
	if err != nil || stored.Key != up.Key {
		t.Errorf("stored %+v, %v", stored.Record, err)
	}
}

func TestPreCreateMayOnlyLowerALimit(t *testing.T) {
	for _, c := range []struct{ token, app, want int64 }{{0, 100, 100}, {50, 100, 50}, {100, 50, 50}, {50, 0, 50}} {
		n, _ := blockingEvents(t, fmt.Sprintf(`{"MaxSize":%d}`, c.app), tusd.HookPreCreate)
		up, err := n.uploads.Create(t.Context(), storage.Record{ID: "a", Size: storage.Unknown, MaxSize: c.token})
		if err != nil || up.MaxSize != c.want {
			t.Errorf("limit of the token %d, of the app %d: got %d, %v", c.token, c.app, up.MaxSize, err)
		}
	}
}

// The app cannot choose a key outside of the prefix, an invalid id, an id other than the
// client's, or accept an upload that is too large.
func TestInvalidChangesByPreCreateAreRejected(t *testing.T) {
	tooLong := strings.Repeat("k", 256) // for the name of a file
	for body, want := range map[string]error{
		`{"ChangeFileInfo":{"Storage":{"Key":"../../etc/passwd"}}}`:    storage.ErrBadRequest,
		`{"ChangeFileInfo":{"Storage":{"Path":"/etc/passwd"}}}`:        storage.ErrBadRequest,
		`{"ChangeFileInfo":{"Storage":{"Key":".holdfast/live/x"}}}`:    storage.ErrBadRequest,
		`{"ChangeFileInfo":{"Storage":{"Key":"a/../b"}}}`:              storage.ErrBadRequest,
		`{"ChangeFileInfo":{"Storage":{"Key":"a\r\nX-Amz-Acl: all"}}}`: storage.ErrBadRequest,
		`{"ChangeFileInfo":{"Storage":{"Key":"` + tooLong + `"}}}`:     storage.ErrBadRequest,
		`{"ChangeFileInfo":{"ID":"../x"}}`:                             storage.ErrForbidden,
		`{"ChangeFileInfo":{"ID":"other"}}`:                            storage.ErrForbidden,
		`{"MaxSize":4}`:                                                storage.ErrTooLarge,
	} {
		n, _ := blockingEvents(t, body, tusd.HookPreCreate)
		if _, err := n.uploads.Create(t.Context(), storage.Record{ID: "mine", Size: 5}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", body, err, want)
		}
	}
	n, _ := blockingEvents(t, `{"ChangeFileInfo":{"ID":"../x"}}`, tusd.HookPreCreate)
	if _, err := n.uploads.Create(t.Context(), storage.Record{Size: 5}); !errors.Is(err, storage.ErrBadID) {
		t.Errorf("an invalid id: %v", err)
	}
}

func TestWithoutAValidPreCreateResponseNothingIsCreated(t *testing.T) {
	page := http.Header{"Content-Type": {"text/html"}}
	for name, c := range map[string]struct {
		answer func(int, received) (int, http.Header, string, error)
		asked  int
	}{
		"500":              {always(500), maxAttempts},
		"reset":            {reset, maxAttempts},
		"hangs":            {hang, 1},
		"408":              {always(408), maxAttempts},
		"425":              {always(425), maxAttempts},
		"429":              {always(429), maxAttempts},
		"redirect":         {always(307), 1},
		"a negative limit": {func(int, received) (int, http.Header, string, error) { return 200, nil, `{"MaxSize":-1}`, nil }, 1},
		"a negative time":  {func(int, received) (int, http.Header, string, error) { return 200, nil, `{"ExpireAfter":-1}`, nil }, 1},
		"not JSON":         {func(int, received) (int, http.Header, string, error) { return 200, nil, "ok", nil }, 1},
		"a page":           {func(int, received) (int, http.Header, string, error) { return 200, page, "{}", nil }, 1},
		"no content":       {func(int, received) (int, http.Header, string, error) { return 204, http.Header{}, "", nil }, 1},
		"an endless one": {func(int, received) (int, http.Header, string, error) {
			return 200, nil, "{}" + strings.Repeat(" ", maxResponse), nil
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				app, store := &fakeApp{answer: c.answer}, newMemory()
				n := startNode(t, options(app, tusd.HookPreCreate), store, &storage.MemoryLocker{})
				began := time.Now()
				_, err := n.uploads.Create(t.Context(), storage.Record{ID: "a", Size: 5})
				if !errors.Is(err, problem.ErrHookUnavailable) || !storage.Transient(err) {
					t.Errorf("created: %v", err)
				}
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("it took %v", took)
				}
				if got := len(app.received()); got != c.asked {
					t.Errorf("asked %d times, want %d", got, c.asked)
				}
				if _, err := store.Load(t.Context(), "a"); !errors.Is(err, storage.ErrNotFound) {
					t.Errorf("it was created nevertheless: %v", err)
				}
			})
		})
	}
}

func TestBlockingHooksAreRetriedAfterTemporaryErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		typ := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
		app := &fakeApp{answer: func(n int, _ received) (int, http.Header, string, error) {
			return []int{500, 429, 200}[n], typ, `{"MaxSize":9}`, nil
		}}
		n := startNode(t, options(app, tusd.HookPreCreate), newMemory(), &storage.MemoryLocker{})
		up, err := n.uploads.Create(t.Context(), storage.Record{ID: "a", Size: 5})
		if err != nil || up.MaxSize != 9 {
			t.Errorf("%+v, %v", up.Record, err)
		}
		if ids := app.ids(); len(ids) != 1 {
			t.Errorf("one call has the ids %v", ids)
		}
	})
}

func TestPreFinishMayRejectAnUploadAndIsCalledAgain(t *testing.T) {
	for _, body := range []string{`{"RejectUpload":true,"HTTPResponse":{"StatusCode":422}}`, `{"HTTPResponse":{"StatusCode":422,"Body":"virus"}}`} {
		n, app := blockingEvents(t, body, tusd.HookPreFinish, tusd.HookPostFinish)
		_, err := n.tryUpload(t.Context(), storage.Record{ID: "a", Size: 5})
		var rejected *problem.Rejection
		if !errors.As(err, &rejected) || rejected.Status != 422 {
			t.Fatalf("%s: %v", body, err)
		}
		if info := app.received()[0].hook.Event.Upload; info.ID != "a" || info.Offset != 5 {
			t.Errorf("asked about %+v", info)
		}
		app.mu.Lock()
		app.answer = func(int, received) (int, http.Header, string, error) {
			return 200, nil, `{"HTTPResponse":{"StatusCode":200}}`, nil
		}
		app.mu.Unlock()
		if up, err := n.uploads.Get(t.Context(), "a"); err != nil || !up.Finished {
			t.Errorf("accepted: %+v, %v", up, err)
		}
	}
}

func TestTheSweeperRetriesARejectedFinishOnlyEveryTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, app := blockingEvents(t, `{"RejectUpload":true}`, tusd.HookPreFinish)
		if _, err := n.tryUpload(t.Context(), storage.Record{ID: "a", Size: 5}); err == nil {
			t.Fatal("not rejected")
		}
		sweeping, stop := context.WithCancel(t.Context())
		go n.uploads.Run(sweeping, time.Minute)
		time.Sleep(time.Hour)
		stop()
		synctest.Wait()
		if asked := len(app.received()); asked < 6 || asked > 8 {
			t.Errorf("asked %d times in an hour, want once at first and every 10 minutes", asked)
		}
	})
}

func TestPreFinishIsNotCalledForPartialUploads(t *testing.T) {
	n, app := blockingEvents(t, `{"RejectUpload":true}`, tusd.HookPreFinish)
	if _, err := n.tryUpload(t.Context(), storage.Record{ID: "a", Size: 5, Partial: true}); err != nil {
		t.Error(err)
	}
	if len(app.received()) != 0 {
		t.Error("asked about a part")
	}
}

// requestWith returns the context of a client's request with all kinds of credentials.
func requestWith(ctx context.Context) context.Context {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://files.example/files/?tenant=7&ticket=s3cret&x=%20", nil)
	if err != nil {
		panic(err)
	}
	r.RequestURI, r.RemoteAddr = r.URL.RequestURI(), "192.0.2.1:5000"
	r.Header = http.Header{"Authorization": {"Bearer s3cret"}, "Cookie": {"sid=s3cret"}, "Proxy-Authorization": {"s3cret"},
		"X-Api-Key": {"s3cret"}, "X-Tenant": {"7"}}
	return protocol.WithRequest(ctx, r)
}

func TestClientCredentialsAreForwardedOnlyIfNamed(t *testing.T) {
	app := &fakeApp{answer: always(200)}
	opts := options(app, tusd.HookPreCreate, tusd.HookPostFinish)
	n := startNode(t, opts, newMemory(), &storage.MemoryLocker{})
	if _, err := n.uploads.Create(requestWith(t.Context()), storage.Record{ID: "a", Size: 0}); err != nil {
		t.Fatal(err)
	}
	h := app.received()[0]
	if strings.Contains(string(h.body), "s3cret") || h.http.Header.Get("Authorization") != "" {
		t.Errorf("the app got a secret: %s %v", h.body, h.http.Header)
	}
	r := h.hook.Event.HTTPRequest
	if r.Method != "POST" || r.URI != "/files/?tenant=7&x=%20" || r.RemoteAddr != "192.0.2.1:5000" ||
		r.Header.Get("Host") != "files.example" || r.Header.Get("X-Tenant") != "7" {
		t.Errorf("the hook describes the request as %+v", r)
	}

	opts.Forward = []string{"authorization", "ticket", "X-Tenant", "X-Api-Key"}
	n = startNode(t, opts, newMemory(), &storage.MemoryLocker{})
	if _, err := n.uploads.Create(requestWith(t.Context()), storage.Record{ID: "b", Size: 0}); err != nil {
		t.Fatal(err)
	}
	h = last(app, "b.pre-create")
	r = h.hook.Event.HTTPRequest
	if h.http.Header.Get("Authorization") != "Bearer s3cret" || h.http.Header.Get("X-Tenant") != "7" ||
		r.Header.Get("Authorization") != "Bearer s3cret" || r.Header.Get("X-Api-Key") != "s3cret" || r.Header.Get("Cookie") != "" || !strings.Contains(r.URI, "ticket=s3cret") {
		t.Errorf("the hook describes the forwarded headers as %+v %v", r, h.http.Header)
	}
	if log := n.log.String(); strings.Contains(log, "s3cret") {
		t.Errorf("a secret in the log: %s", log)
	}
}

func last(app *fakeApp, id string) received {
	var found received
	for _, h := range app.received() {
		if strings.HasPrefix(h.id, id) {
			found = h
		}
	}
	return found
}

// The body has the keys of tusd 2, with the same case.
func TestTheHookBodyEqualsTusds(t *testing.T) {
	app := &fakeApp{answer: always(200)}
	opts := options(app, tusd.HookPostFinish)
	opts.Storage = func(up storage.Upload) map[string]string {
		return map[string]string{"Type": "filestore", "Path": "/data/" + up.ID}
	}
	n := startNode(t, opts, newMemory(), &storage.MemoryLocker{})
	if _, err := n.tryUpload(requestWith(t.Context()), storage.Record{ID: "a", Size: 5, Metadata: map[string]string{"filename": "é.txt"}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return len(app.received()) == 1 })
	var got, want any
	if err := json.Unmarshal([]byte(`{"Type":"post-finish","Event":{
		"Upload":{"ID":"a","Size":5,"SizeIsDeferred":false,"Offset":5,"MetaData":{"filename":"é.txt"},"IsPartial":false,"IsFinal":false,
			"PartialUploads":null,"Storage":{"Type":"filestore","Path":"/data/a","CRC32C":"0G6ckg=="}},
		"HTTPRequest":{"Method":"POST","URI":"/files/?tenant=7&x=%20","RemoteAddr":"192.0.2.1:5000",
			"Header":{"Host":["files.example"],"X-Tenant":["7"]}}}}`), &want); err != nil {
		t.Fatal(err)
	}
	h := app.received()[0]
	if err := json.Unmarshal(h.body, &got); err != nil {
		t.Fatal(err)
	}
	gotText, _ := json.Marshal(got)
	wantText, _ := json.Marshal(want)
	if string(gotText) != string(wantText) {
		t.Errorf("got  %s\nwant %s", gotText, wantText)
	}
	if h.http.Method != "POST" || h.http.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s with %v", h.http.Method, h.http.Header)
	}
}

func eventually(t *testing.T, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("condition not met in time")
		}
	}
}

func TestHooksHoldTheOwnerOfTheUpload(t *testing.T) {
	app := &fakeApp{answer: always(200)}
	opts := options(app, tusd.HookPreCreate, tusd.HookPostFinish)
	n := startNode(t, opts, newMemory(), &storage.MemoryLocker{})
	if _, err := n.uploads.Create(t.Context(), storage.Record{ID: "a", Owner: "anna"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return len(app.received()) == 2 })
	for _, h := range app.received() {
		var got struct{ Owner string }
		if err := json.Unmarshal(h.body, &got); err != nil || got.Owner != "anna" {
			t.Errorf("%s: the owner is %q, %v", h.hook.Type, got.Owner, err)
		}
	}
}
