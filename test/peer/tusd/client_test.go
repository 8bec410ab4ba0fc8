package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/tus/tusd/v2/pkg/handler"

	"github.com/holdfast-upload/holdfast/client"
	"github.com/holdfast-upload/holdfast/test"
)

const mib = 1 << 20

// start runs tusd over a directory, behind a line that breaks each connection after 1 to
// 8 MiB, and returns the URL of its collection.
func start(t *testing.T) (collection string, line *test.Proxy) {
	t.Helper()
	composer := handler.NewStoreComposer()
	if err := useFiles(composer, t.TempDir(), "memory"); err != nil {
		t.Fatal(err)
	}
	h, err := newHandler(composer)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	var mu sync.Mutex
	rnd := rand.New(rand.NewPCG(8, 8))
	line, err = test.NewProxy(strings.TrimPrefix(server.URL, "http://"), func() test.Cut {
		mu.Lock()
		defer mu.Unlock()
		return test.Cut{After: mib + rnd.Int64N(7*mib), Reset: rnd.IntN(2) == 0}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		line.Close()
		server.CloseClientConnections()
		server.Close()
	})
	return "http://" + line.Addr + "/files/", line
}

// stream hides that a reader could be read at any offset.
type stream struct{ io.Reader }

// Package client uploads to an unmodified tusd over a line that breaks, from a file, which
// continues in another process, and from a stream of unknown size.
func TestTheClientUploadsToTusdOverALineThatBreaks(t *testing.T) {
	t.Parallel()
	content := test.NewContent(5, 24*mib+77)
	url, line := start(t)
	t.Run("a file", func(t *testing.T) {
		opts := client.Options{URLs: client.DirURLStore(t.TempDir()), RateLimit: 16 * mib}
		source := func() *client.Source {
			src := client.ReaderAt(content, content.Size)
			src.Identity = "content 5"
			return src
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := client.New(opts).Upload(ctx, url, source(), func(p client.Progress) {
			if p.Stored > 8*mib {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("it was not interrupted: %v", err)
		}
		result, err := client.New(opts).Upload(t.Context(), url, source(), nil)
		if err != nil || result.Protocol != client.Tus || result.Resumed < 8*mib || result.Verified {
			t.Fatalf("%+v, %v", result, err)
		}
		wantFile(t, result.URL, content)
	})
	t.Run("a stream", func(t *testing.T) {
		result, err := client.New(client.Options{}).Upload(t.Context(), url, client.Reader(stream{content.Part(content.All())}), nil)
		if err != nil || result.Size != content.Size || result.Retries == 0 {
			t.Fatalf("%+v, %v", result, err)
		}
		wantFile(t, result.URL, content)
	})
	if line.Cuts() < 4 {
		t.Errorf("%d cuts: nothing was shown", line.Cuts())
	}
}

// wantFile downloads a file over the same line, and demands that it is the content.
func wantFile(t *testing.T, url string, content test.Content) {
	t.Helper()
	r, w := io.Pipe()
	go func() {
		_, err := client.New(client.Options{}).Download(t.Context(), url, w, nil)
		_ = w.CloseWithError(err)
	}()
	if sum, n, err := test.Sum(r); err != nil || sum != content.Sum() {
		t.Errorf("%d bytes that are not the %d sent (%v)", n, content.Size, err)
	}
}
