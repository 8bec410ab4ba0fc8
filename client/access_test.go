package client_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/holdfast-upload/holdfast"
	"github.com/holdfast-upload/holdfast/client"
	"github.com/holdfast-upload/holdfast/hooks/auth"
)

var processStart = time.Now()

const secret = "0123456789abcdef0123456789abcdef"

func token(t *testing.T, lifetime time.Duration) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "anna", "exp": time.Now().Add(lifetime).Unix()}).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestATicketIssuedByTheServerOutlivesTheToken(t *testing.T) {
	t.Parallel()
	s := newServer(t, holdfast.Options{Auth: auth.Options{JWTSecrets: []string{secret}, TicketSecrets: []string{secret}, TicketTTL: time.Hour}})
	content, valid, expired := random(30, 2*mib), token(t, time.Hour), token(t, -time.Hour)
	for _, target := range []string{"", "chosen"} {
		var acknowledged atomic.Bool
		s.inject(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut && r.URL.Query().Has("ticket") {
				acknowledged.Store(true)
			}
			return false
		})
		c := client.New(client.Options{MaxParallel: 1, Token: func(context.Context) (string, error) {
			if acknowledged.Load() {
				return expired, nil
			}
			return valid, nil
		}})
		result, err := c.Upload(t.Context(), s.collection()+target, client.ReaderAt(bytes.NewReader(content), int64(len(content))), nil)
		if err != nil || !result.Verified || !acknowledged.Load() || !strings.Contains(result.URL, "ticket=") {
			t.Errorf("to %q: %+v, %v", target, result, err)
		}
	}
}

func TestATicketInTheURLIsEnough(t *testing.T) {
	t.Parallel()
	s := newServer(t, holdfast.Options{Auth: auth.Options{TicketSecrets: []string{secret}}})
	ticket, err := auth.Sign(secret, auth.Ticket{Upload: "trip", Subject: "anna", Expires: time.Now().Add(time.Hour), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	content := random(31, mib)
	result, err := client.New(client.Options{}).Upload(t.Context(), auth.TicketURL(s.collection()+"trip", ticket), client.ReaderAt(bytes.NewReader(content), mib), nil)
	if err != nil || !result.Verified {
		t.Errorf("%+v, %v", result, err)
	}
	if _, err := client.New(client.Options{}).Upload(t.Context(), s.collection()+"trip", client.ReaderAt(bytes.NewReader(content), mib), nil); err == nil || strings.Contains(err.Error(), ticket) {
		t.Errorf("without the ticket: %v", err)
	}
}

// A server may point to another host for its uploads, or be made to.
func TestSecretsAreSentToTheGivenHostAlone(t *testing.T) {
	t.Parallel()
	other := newServer(t, holdfast.Options{})
	var leaked atomic.Bool
	other.inject(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization")+r.Header.Get("X-Key") != "" {
			leaked.Store(true)
		}
		return false
	})
	given := newServer(t, holdfast.Options{})
	given.inject(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		if r.Header.Get("Authorization") != "Bearer t" || r.Header.Get("X-Key") != "k" {
			t.Errorf("the given host gets %v", r.Header)
		}
		w.Header().Set("Location", other.collection()+"elsewhere")
		w.WriteHeader(http.StatusCreated)
		return true
	})
	opts := client.Options{Header: http.Header{"X-Key": {"k"}}, Token: func(context.Context) (string, error) { return "t", nil }}
	result, err := client.New(opts).Upload(t.Context(), given.collection(), client.ReaderAt(strings.NewReader("hello"), 5), nil)
	if err != nil || leaked.Load() {
		t.Errorf("%+v, %v; secrets sent to another host: %v", result, err, leaked.Load())
	}
}

func TestRedirectsOfUploadsAreNotFollowed(t *testing.T) {
	t.Parallel()
	s := newServer(t, holdfast.Options{})
	redirect := httptest.NewServer(http.RedirectHandler(s.collection(), http.StatusPermanentRedirect))
	defer redirect.Close()
	_, err := client.New(client.Options{}).Upload(t.Context(), redirect.URL+"/files/", client.ReaderAt(strings.NewReader("hello"), 5), nil)
	if err == nil || !strings.Contains(err.Error(), "redirects") {
		t.Errorf("%v", err)
	}
}

func TestRememberedURLsAreReadableByTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "urls")
	urls := client.DirURLStore(dir)
	if _, ok := urls.Load("key"); ok {
		t.Error("an empty store has a URL")
	}
	for _, url := range []string{"http://localhost/1", "http://localhost/2"} {
		if err := urls.Save("key", url); err != nil {
			t.Fatal(err)
		}
		if got, ok := client.DirURLStore(dir).Load("key"); !ok || got != url {
			t.Errorf("%q, %v", got, ok)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	if info, err := entries[0].Info(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for range 2 {
		if err := urls.Remove("key"); err != nil {
			t.Error(err)
		}
	}
	if _, ok := urls.Load("key"); ok {
		t.Error("a removed URL is found")
	}
}
