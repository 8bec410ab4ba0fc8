package webhook

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	tusd "github.com/tus/tusd/v2/pkg/hooks"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
)

const (
	newSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	oldSecret = "C2FVsBQIhrscChlQIMV+b5sSYspob7oDzEQ0KvQYfTk="
)

func verifier(t *testing.T, secret string) *standardwebhooks.Webhook {
	t.Helper()
	v, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestEveryHookIsSignedByEachSecret(t *testing.T) {
	app := &fakeApp{answer: always(200)}
	opts := options(app)
	opts.Events, opts.Secrets = Events, []string{newSecret, oldSecret}
	n := startNode(t, opts, newMemory(), &storage.MemoryLocker{})
	if _, err := n.uploads.Create(t.Context(), storage.Record{ID: "a", Size: 10}); err != nil {
		t.Fatal(err)
	}
	for _, offset := range []int64{0, 5} {
		if _, err := n.uploads.Write(t.Context(), "a", storage.Chunk{Offset: offset, Body: strings.NewReader("bytes")}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool { // before it is deleted
		return slices.ContainsFunc(app.received(), func(h received) bool { return h.hook.Type == tusd.HookPostFinish })
	})
	if err := n.uploads.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	received := map[tusd.HookType]bool{}
	eventually(t, func() bool {
		for _, h := range app.received() {
			received[h.hook.Type] = true
		}
		return len(received) == len(Events)
	})
	for _, h := range app.received() {
		for _, secret := range []string{newSecret, oldSecret} {
			if err := verifier(t, secret).Verify(h.body, h.http.Header); err != nil {
				t.Errorf("%s: %v", h.hook.Type, err)
			}
		}
		stranger := "whsec_" + strings.Repeat("AAAA", 8)
		if verifier(t, stranger).Verify(h.body, h.http.Header) == nil {
			t.Errorf("%s: verified with a wrong secret", h.hook.Type)
		}
		if verifier(t, newSecret).Verify(append(h.body, ' '), h.http.Header) == nil {
			t.Errorf("%s: verified with a different body", h.hook.Type)
		}
	}
}

func TestWithoutASecretNothingIsSigned(t *testing.T) {
	app := &fakeApp{answer: always(200)}
	opts := options(app, tusd.HookPreCreate)
	opts.Forward = []string{"Webhook-Signature"} // a client's signature is not forwarded either
	n := startNode(t, opts, newMemory(), &storage.MemoryLocker{})
	r, _ := http.NewRequest(http.MethodPost, "/files/", nil)
	r.Header.Set("Webhook-Signature", "v1,forged")
	if _, err := n.uploads.Create(protocol.WithRequest(t.Context(), r), storage.Record{ID: "a", Size: 5}); err != nil {
		t.Fatal(err)
	}
	if got := app.received()[0].http.Header.Get("Webhook-Signature"); got != "" {
		t.Errorf("signed %q", got)
	}
}

func TestAnInvalidSecretIsRejectedWithoutPrintingIt(t *testing.T) {
	_, err := New(Options{Secrets: []string{newSecret, "not base64!"}})
	if err == nil || strings.Contains(err.Error(), "not base64!") {
		t.Errorf("%v", err)
	}
}

// A redirect must not make the server call other addresses, such as the metadata service of
// the machine.
func TestNoRedirectIsFollowed(t *testing.T) {
	var elsewhere atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		elsewhere.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	}))
	defer target.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		app := httptest.NewServer(http.RedirectHandler(target.URL, status))
		opts := options(nil, tusd.HookPreCreate, tusd.HookPostFinish)
		opts.URL, opts.Timeout = app.URL, 5*time.Second
		opts.transport = nil
		n := startNode(t, opts, newMemory(), &storage.MemoryLocker{})
		if _, err := n.uploads.Create(t.Context(), storage.Record{ID: "a", Size: 0}); !storage.Transient(err) {
			t.Errorf("%d: created: %v", status, err)
		}
		app.Close()
	}
	if n := elsewhere.Load(); n > 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

func TestAnEndlessResponseIsNotReadToItsEnd(t *testing.T) {
	var sent atomic.Int64
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for block := make([]byte, 64<<10); sent.Load() < 1<<30; {
			n, err := w.Write(block)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}))
	defer app.Close()
	opts := options(nil, tusd.HookPostFinish)
	opts.URL, opts.transport = app.URL, nil
	store := newMemory()
	startNode(t, opts, store, &storage.MemoryLocker{}).upload("a")
	eventually(t, func() bool { return len(pendingDeliveries(t, store)) == 0 }) // the status was 200
	if n := sent.Load(); n > 64<<20 {
		t.Errorf("%d bytes of the response were read", n)
	}
}

func TestTLSVerifiesServerAndClientCertificates(t *testing.T) {
	var shown atomic.Int32
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown.Store(int32(len(r.TLS.PeerCertificates)))
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	}))
	app.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	app.Config.ErrorLog = log.New(io.Discard, "", 0)
	app.StartTLS()
	defer app.Close()
	trusting := app.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trusting.Certificates = app.TLS.Certificates
	for name, c := range map[string]struct {
		tls  *tls.Config
		fits bool
	}{"both known": {trusting, true}, "the app unknown": {&tls.Config{Certificates: app.TLS.Certificates}, false}, "no certificate to show": {&tls.Config{RootCAs: trusting.RootCAs}, false}} {
		opts := options(nil, tusd.HookPreCreate)
		opts.URL, opts.transport, opts.TLS = app.URL, nil, c.tls
		n := startNode(t, opts, newMemory(), &storage.MemoryLocker{})
		_, err := n.uploads.Create(t.Context(), storage.Record{ID: "a", Size: 5})
		if (err == nil) != c.fits {
			t.Errorf("%s: %v", name, err)
		}
		if c.fits && shown.Load() == 0 {
			t.Errorf("%s: no certificate was shown", name)
		}
	}
}

func TestAPasswordInTheURLIsNotLogged(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	opts := options(nil, tusd.HookPostFinish, tusd.HookPostCreate, tusd.HookPreFinish)
	opts.URL = strings.Replace(gone.URL, "http://", "http://user:s3cret@", 1) + "/?token=s3cret"
	opts.transport = nil
	n := startNode(t, opts, newMemory(), &storage.MemoryLocker{})
	_, err := n.tryUpload(t.Context(), storage.Record{ID: "a", Size: 5})
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%v", err)
	}
	if err := n.app.Deliver(t.Context(), storage.Delivery{ID: "a.finished"}); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%v", err)
	}
	if text := n.log.String(); strings.Contains(text, "s3cret") {
		t.Errorf("the log contains it: %s", text)
	}
}
