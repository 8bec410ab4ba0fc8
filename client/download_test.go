package client_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/holdfast-upload/holdfast"
	"github.com/holdfast-upload/holdfast/client"
)

// breaking passes on n bytes of a response, and then breaks the connection.
type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	if len(p) > b.left {
		_, _ = b.ResponseWriter.Write(p[:b.left])
		_ = http.NewResponseController(b.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	b.left -= len(p)
	return b.ResponseWriter.Write(p)
}

// uploaded returns the URL of a complete upload.
func uploaded(t *testing.T, s *server, id string, content []byte) string {
	t.Helper()
	result, err := client.New(client.Options{}).Upload(t.Context(), s.collection()+id, client.ReaderAt(bytes.NewReader(content), int64(len(content))), nil)
	if err != nil {
		t.Fatal(err)
	}
	return result.URL
}

func TestABrokenDownloadContinues(t *testing.T) {
	t.Parallel()
	s, content := newServer(t, holdfast.Options{}), random(20, 3*mib)
	url := uploaded(t, s, "broken", content)
	var ranged atomic.Int64
	s.inject(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet {
			return false
		}
		if r.Header.Get("Range") != "" {
			ranged.Add(1)
		}
		s.holdfast.ServeHTTP(&breaking{w, mib}, r)
		return true
	})
	var got bytes.Buffer
	result, err := client.New(client.Options{}).Download(t.Context(), url, &got, nil)
	if err != nil || !result.Verified || ranged.Load() == 0 || !bytes.Equal(got.Bytes(), content) {
		t.Errorf("%+v, %d bytes, %d ranges, %v", result, got.Len(), ranged.Load(), err)
	}
}

func TestADownloadToAFileContinuesInAnotherProcess(t *testing.T) {
	t.Parallel()
	s, content := newServer(t, holdfast.Options{}), random(21, 3*mib)
	url := uploaded(t, s, "again", content)
	path := filepath.Join(t.TempDir(), "file")
	for name, c := range map[string]struct {
		part    []byte
		resumed int64
		wrong   bool
	}{
		"nothing":       {nil, 0, false},
		"a part":        {content[:mib], mib, false},
		"all":           {content, 3 * mib, false},
		"more than all": {append(content[:len(content):len(content)], 1), 0, false},
		"another file":  {random(22, mib), mib, true},
	} {
		if err := os.WriteFile(path+".part", c.part, 0o600); err != nil {
			t.Fatal(err)
		}
		result, err := client.New(client.Options{}).DownloadFile(t.Context(), url, path, nil)
		if c.wrong {
			if _, stat := os.Stat(path + ".part"); !errors.Is(err, client.ErrChecksum) || !os.IsNotExist(stat) {
				t.Errorf("%s: %v; the part is kept: %v", name, err, stat)
			}
			continue
		}
		got, _ := os.ReadFile(path)
		if err != nil || !result.Verified || result.Resumed != c.resumed || !bytes.Equal(got, content) {
			t.Errorf("%s: %+v, %d bytes, %v", name, result, len(got), err)
		}
	}
}

// A server that states no checksum may have another file by now.
func TestAPartIsNotContinuedWithoutAChecksum(t *testing.T) {
	t.Parallel()
	content := random(23, mib)
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", processStart, bytes.NewReader(content))
	}))
	defer plain.Close()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path+".part", random(24, mib/2), 0o600); err != nil {
		t.Fatal(err)
	}
	result, err := client.New(client.Options{}).DownloadFile(t.Context(), plain.URL, path, nil)
	got, _ := os.ReadFile(path)
	if err != nil || result.Verified || !bytes.Equal(got, content) {
		t.Errorf("%+v, %d bytes, %v", result, len(got), err)
	}
}

func TestAnIncompleteUploadIsNotDownloaded(t *testing.T) {
	t.Parallel()
	s := newServer(t, holdfast.Options{})
	for _, total := range []string{"10", "*"} {
		r, err := http.NewRequest(http.MethodPut, s.collection()+"half"+strings.Trim(total, "*"), strings.NewReader("12345"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Range", "bytes 0-4/"+total)
		resp, err := http.DefaultClient.Do(r)
		if err != nil || resp.StatusCode != http.StatusAccepted {
			t.Fatal(resp, err)
		}
		_ = resp.Body.Close()
		if _, err := client.New(client.Options{}).Download(t.Context(), r.URL.String(), io.Discard, nil); err == nil || !strings.Contains(err.Error(), "not complete") {
			t.Errorf("of %s bytes: %v", total, err)
		}
	}
}
