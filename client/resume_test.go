package client_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/holdfast-upload/holdfast"
	"github.com/holdfast-upload/holdfast/client"
)

// interrupted cancels an upload once some of the file is stored.
func interrupted(t *testing.T, c *client.Client, target string, src *client.Source) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := c.Upload(ctx, target, src, func(p client.Progress) {
		if p.Stored > 2*mib {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the upload was not interrupted: %v", err)
	}
}

func TestAnInterruptedUploadContinues(t *testing.T) {
	t.Parallel()
	content := random(9, 12*mib+5)
	path := writeFile(t, "video.mp4", content)
	for _, protocol := range []client.Protocol{client.Auto, client.Tus} {
		for _, target := range []string{"", "chosen"} {
			if protocol == client.Tus && target != "" {
				continue
			}
			s := newServer(t, holdfast.Options{})
			urls := client.DirURLStore(filepath.Join(t.TempDir(), "urls"))
			opts := client.Options{Protocol: protocol, URLs: urls, RateLimit: 8 * mib, MaxChunk: 256 * kib}
			interrupted(t, client.New(opts), s.collection()+target, openFile(t, path))
			opts.RateLimit = 0
			result, err := client.New(opts).Upload(t.Context(), s.collection()+target, openFile(t, path), nil)
			if err != nil || result.Resumed < 2*mib || result.Sent != int64(len(content))-result.Resumed {
				t.Fatalf("%q to %q: %+v, %v", protocol, target, result, err)
			}
			if want := int64(1); target == "" && s.posts.Load() != want {
				t.Errorf("%d uploads were created", s.posts.Load())
			}
			wantFile(t, result.URL, content)
			again, err := client.New(opts).Upload(t.Context(), s.collection(), openFile(t, path), nil)
			if err != nil || again.URL == result.URL || again.Resumed != 0 {
				t.Errorf("a finished upload is resumed: %+v, %v", again, err)
			}
		}
	}
}

func TestAStreamContinuesWhenItIsRepeated(t *testing.T) {
	t.Parallel()
	s := newServer(t, holdfast.Options{})
	content := random(10, 12*mib+5)
	c := client.New(client.Options{RateLimit: 8 * mib, MaxChunk: 256 * kib})
	interrupted(t, c, s.collection()+"pipe", client.Reader(stream{bytes.NewReader(content)}))
	result, err := client.New(client.Options{MaxChunk: 256 * kib}).Upload(t.Context(), s.collection()+"pipe", client.Reader(stream{bytes.NewReader(content)}), nil)
	if err != nil || !result.Verified || result.Sent > 11*mib {
		t.Fatalf("%+v, %v", result, err)
	}
	wantFile(t, result.URL, content)
}

// An upload that the server has forgotten in the meantime begins again.
func TestAForgottenUploadIsCreatedAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t, holdfast.Options{})
	path := writeFile(t, "video.mp4", random(11, 12*mib))
	urls := client.DirURLStore(t.TempDir())
	opts := client.Options{URLs: urls, RateLimit: 8 * mib, MaxChunk: 256 * kib}
	interrupted(t, client.New(opts), s.collection(), openFile(t, path))
	for up, err := range s.holdfast.Uploads().All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if err := s.holdfast.Uploads().DeleteAsAdmin(t.Context(), up.ID); err != nil {
			t.Fatal(err)
		}
	}
	opts.RateLimit = 0
	result, err := client.New(opts).Upload(t.Context(), s.collection(), openFile(t, path), nil)
	if err != nil || result.Resumed != 0 || s.posts.Load() != 2 {
		t.Fatalf("%+v, %d creations, %v", result, s.posts.Load(), err)
	}
}
