package test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// takeFile takes the file of an upload away, as an app does that has moved it.
func takeFile(t *testing.T, s *Server, key string) {
	t.Helper()
	at := slices.Index(s.Args, "--s3-endpoint")
	if at < 0 {
		if err := os.Remove(filepath.Join(s.Data, key)); err != nil {
			t.Error(err)
		}
		return
	}
	client := s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.Args[at+1]), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(servers.AccessKey, servers.SecretKey, ""),
	})
	object := &s3.HeadObjectInput{Bucket: aws.String("uploads"), Key: &key}
	if _, err := client.HeadObject(t.Context(), object); err != nil {
		t.Error(err)
	}
	if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: object.Bucket, Key: &key}); err != nil {
		t.Error(err)
	}
}

// onBothStores runs a test for each store, with a server and an app of its own.
func onBothStores(t *testing.T, more []string, test func(*testing.T, *Server, *App)) {
	for name, open := range map[string]func(*testing.T, []string) *Server{
		"disk": func(t *testing.T, args []string) *Server {
			return &Server{Bin: holdfast, Data: filepath.Join(t.TempDir(), "data"), Args: args}
		},
		"S3": onS3,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := startApp(t)
			s := open(t, hookFlags(app, more...))
			run(t, s)
			test(t, s, app)
		})
	}
}

// acknowledged waits until the server knows that the app has taken post-finish.
func acknowledged(t *testing.T, s *Server, app *App, id string) {
	t.Helper()
	eventually(t, 30*time.Second, "post-finish is acknowledged", func() bool {
		return app.Took()[id+".finished"] > 0 && len(deliveries(t, s)) == 0
	})
}

// F23: the app moves the file as soon as it has acknowledged it. A late client gets
// the answer that it would have got before, and nothing is created.
func TestF23AMovedFileLeavesItsUploadComplete(t *testing.T) {
	t.Parallel()
	for _, template := range []string{"", "videos/{id}.mp4"} {
		t.Run("key "+template, func(t *testing.T) {
			t.Parallel()
			onBothStores(t, []string{"--key-template", template}, func(t *testing.T, s *Server, app *App) {
				content := NewContent(7, 300_000)
				const id = "moved"
				url, key := s.URL(id), strings.ReplaceAll(template, "{id}", id)
				if key == "" {
					key = id
				}
				ask(t, "PUT", url, content.Part(ranges.Of(0, 200_000)), []string{"Content-Range: bytes 0-199999/300000"}, 202)
				last := func(want ...int) Answer {
					t.Helper()
					return ask(t, "PUT", url, content.Part(ranges.Range{Start: 200_000, End: 300_000}), []string{"Content-Range: bytes 200000-299999/300000"}, want...)
				}
				done := last(201)
				acknowledged(t, s, app, id)
				tusHead, plainHead := ask(t, "HEAD", url, nil, []string{tusVersion}, 200), ask(t, "HEAD", url, nil, nil, 200)
				takeFile(t, s, key)
				check := func() {
					t.Helper()
					for range 2 {
						if again := last(201); string(again.Body) != string(done.Body) || again.Header.Get("Location") != done.Header.Get("Location") {
							t.Errorf("the last piece again: %s, first it was %s", again.Body, done.Body)
						}
					}
					ask(t, "PUT", url, content.Part(ranges.Of(5, 10)), []string{"Content-Range: bytes 5-14/300000"}, 201)
					ask(t, "PUT", url, nil, []string{"Content-Range: bytes */300000"}, 201)
					sameHeaders(t, tusHead, ask(t, "HEAD", url, nil, []string{tusVersion}, 200), "Upload-Offset", "Upload-Length", "Upload-Metadata")
					sameHeaders(t, plainHead, ask(t, "HEAD", url, nil, nil, 200), "Upload-Offset", "Upload-Length", "Content-Length", "ETag")
					patch(t, url, content, ranges.Range{Start: 300_000, End: 300_000}, 204)
					gone := ask(t, "GET", url, nil, nil, 410)
					if !strings.Contains(string(gone.Body), "moved or deleted after the app had acknowledged it") {
						t.Errorf("why: %s", gone.Body)
					}
					wantNoFile(t, s, key)
				}
				check()
				restart(t, s)
				check()
				if n := app.Took()[id+".finished"]; n != 1 {
					t.Errorf("it was delivered %d times", n)
				}
				ask(t, "DELETE", url, nil, nil, 204)
				last(410)
			})
		})
	}
}

func sameHeaders(t *testing.T, before, now Answer, names ...string) {
	t.Helper()
	for _, name := range names {
		if got, want := now.Header.Get(name), before.Header.Get(name); got != want {
			t.Errorf("%s: %q, before it was %q", name, got, want)
		}
	}
}

// wantNoFile checks that a data directory has no file of this name again.
func wantNoFile(t *testing.T, s *Server, key string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(s.Data, key)); err == nil {
		t.Errorf("%s is back", key)
	}
}

func TestAMovedFileIsNotRememberedIfThatIsNotWanted(t *testing.T) {
	t.Parallel()
	onBothStores(t, []string{"--remember-finished", "0"}, func(t *testing.T, s *Server, app *App) {
		const id = "short"
		ask(t, "PUT", s.URL(id), strings.NewReader("hello"), nil, 201)
		acknowledged(t, s, app, id)
		ask(t, "GET", s.URL(id), nil, nil, 200)
		takeFile(t, s, id)
		for _, method := range []string{http.MethodHead, http.MethodGet} {
			ask(t, method, s.URL(id), nil, nil, 410)
		}
	})
}

// A file is deleted while the app is down, and the server is killed. The app is notified that it
// was finished, and then that it was deleted.
func TestF25OfAFileThatIsDeletedTooEarlyTheEventsComeInOrder(t *testing.T) {
	t.Parallel()
	onBothStores(t, []string{"--hook-events", "post-finish,post-terminate"}, func(t *testing.T, s *Server, app *App) {
		const id = "early"
		app.Be(func(Hook) Mood { return Fails })
		ask(t, "PUT", s.URL(id), strings.NewReader("hello"), nil, 201)
		ask(t, "DELETE", s.URL(id), nil, nil, 204)
		ask(t, "GET", s.URL(id), nil, nil, 410)
		wantNoFile(t, s, id)
		restart(t, s)
		ask(t, "GET", s.URL(id), nil, nil, 410)
		eventually(t, 30*time.Second, "the finish is delivered again", func() bool { return app.Received()[id+".finished"] > 2 })
		if n := app.Received()[id+".deleted"]; n > 0 {
			t.Errorf("the app received %d times that it was deleted before it knew of the file", n)
		}
		app.Be(func(Hook) Mood { return Takes })
		eventually(t, 60*time.Second, "the deletion is delivered", func() bool { return app.Took()[id+".deleted"] > 0 })
		if n := app.Took()[id+".finished"]; n == 0 {
			t.Error("only the deletion was delivered")
		}
		eventually(t, 30*time.Second, "nothing is pending", func() bool { return len(deliveries(t, s)) == 0 })
		ask(t, "GET", s.URL(id), nil, nil, 410)
	})
}
