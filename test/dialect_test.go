package test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func form(t *testing.T, content string) (body io.Reader, contentType string) {
	t.Helper()
	var text bytes.Buffer
	w := multipart.NewWriter(&text)
	part, err := w.CreateFormFile("file", "video.mp4")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(part, content)
	w.Close()
	return &text, w.FormDataContentType()
}

func TestF29AFormIsNeverTheFile(t *testing.T) {
	t.Parallel()
	s := start(t)
	refused := func(t *testing.T, a Answer, url string) {
		t.Helper()
		if !strings.Contains(string(a.Body), "send its bytes alone as the body") {
			t.Errorf("the answer does not help: %s", a.Body)
		}
		ask(t, http.MethodGet, url, nil, nil, http.StatusNotFound)
	}
	for i, method := range []string{http.MethodPut, http.MethodPost, http.MethodPatch} {
		for j, contentRange := range []string{"Content-Range: bytes 0-9/10", "Content-Range: bytes 0-9/100", ""} {
			t.Run(method+" "+contentRange, func(t *testing.T) {
				url := s.URL(fmt.Sprintf("form-%d-%d", i, j))
				body, contentType := form(t, "0123456789")
				fields := []string{"Content-Type: " + contentType}
				if contentRange != "" {
					fields = append(fields, contentRange)
				}
				refused(t, ask(t, method, url, body, fields, http.StatusUnsupportedMediaType), url)
			})
		}
	}
	for i, contentType := range []string{"multipart/form-data", "Multipart/Form-Data ; boundary", "multipart/form-data; boundary=\"\xff"} {
		t.Run(contentType, func(t *testing.T) {
			url := s.URL(fmt.Sprintf("type-%d", i))
			refused(t, ask(t, http.MethodPut, url, strings.NewReader("--x"), []string{"Content-Type: " + contentType}, http.StatusUnsupportedMediaType), url)
		})
	}
	t.Run("several ranges", func(t *testing.T) {
		ask(t, http.MethodPut, s.URL("ranges"), strings.NewReader("--x"), []string{"Content-Type: multipart/byteranges; boundary=x"}, http.StatusUnsupportedMediaType)
		ask(t, http.MethodGet, s.URL("ranges"), nil, nil, http.StatusNotFound)
	})
}

func TestF29APartOfAFileInAnotherDialectIsNeverTheFile(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i, field := range []string{
		"Upload-Offset: 0", "Upload-Offset: 10",
		"X-Content-Range: bytes 0-9/100", "X-Content-Range: bytes 0-9/10", "Tus-Resumable: 1.0.0",
		"X-Goog-Upload-Command: upload, finalize", "X-Goog-Upload-Offset: 0", "Upload-Length: 100",
	} {
		name, _, _ := strings.Cut(field, ":")
		t.Run(field, func(t *testing.T) {
			for j, body := range []func() io.Reader{
				func() io.Reader { return strings.NewReader("0123456789") },
				func() io.Reader { return io.MultiReader(strings.NewReader("0123456789")) }, // its length is not known
			} {
				if j == 1 && name == "Upload-Length" {
					continue // it agrees with any
				}
				url := s.URL(fmt.Sprintf("dialect-%d-%d", i, j))
				a := ask(t, http.MethodPut, url, body(), []string{field}, http.StatusBadRequest)
				if !strings.Contains(string(a.Body), name) {
					t.Errorf("the answer does not name %s: %s", name, a.Body)
				}
				ask(t, http.MethodGet, url, nil, nil, http.StatusNotFound)
			}
		})
	}
}

// Clients of the nginx upload module send the chunks of all files to one URL, and take 201 for
// "go on".
func TestF29AChunkForTheNginxUploadModuleIsNeverTheFile(t *testing.T) {
	t.Parallel()
	s := start(t)
	const session, disposition = "Session-ID: 1111215056", `Content-Disposition: attachment; filename="big.txt"`
	for i, c := range []struct {
		method, path string
		fields       []string
		want         int
	}{
		{"POST", "it", []string{"X-Content-Range: bytes 0-9/100", session}, 400},
		{"POST", "it", []string{"X-Content-Range: bytes 0-9/10", "X-" + session}, 400},
		{"POST", "it", []string{"Content-Range: bytes 0-9/100", session}, 400},
		{"POST", "it", []string{"Content-Range: bytes 0-9/10", "X-" + session}, 400},
		{"PUT", "it", []string{"X-Content-Range: bytes 0-9/100", session}, 400},
		{"PATCH", "it", []string{"X-Content-Range: bytes 0-9/100"}, 400},
		{"POST", "", []string{"X-Content-Range: bytes 0-9/100", session}, 404},
		{"POST", "", []string{"Content-Range: bytes 0-9/100", session}, 404},
	} {
		url := s.URL(c.path)
		if c.path != "" {
			url += fmt.Sprint(i)
		}
		a := ask(t, c.method, url, strings.NewReader("0123456789"), append(c.fields, disposition, "Content-Type: application/octet-stream"), c.want)
		if c.want == 400 && !strings.Contains(string(a.Body), "nginx upload module") {
			t.Errorf("%s %q: the answer does not help: %s", c.method, c.fields, a.Body)
		}
		if c.path != "" {
			ask(t, http.MethodGet, url, nil, nil, http.StatusNotFound)
		}
	}
	wantNothingStored(t, s)
}

// A chunk that is numbered in the query, without a Content-Range, is not the file either. A
// question for one is not answered with the file, or the library would take it for stored.
func TestF29ANumberedChunkIsNeverTheFile(t *testing.T) {
	t.Parallel()
	s := start(t)
	const chunk = "?flowChunkNumber=1&flowChunkSize=10&flowTotalSize=25&flowTotalChunks=2"
	for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodPatch} {
		a := ask(t, method, s.URL("it")+chunk, strings.NewReader("0123456789"), nil, http.StatusUnsupportedMediaType)
		if !strings.Contains(string(a.Body), "docs/clients.md, section Flow.js") {
			t.Errorf("%s: the answer does not help: %s", method, a.Body)
		}
	}
	a := ask(t, http.MethodPatch, s.URL("it"), strings.NewReader("0123456789"),
		[]string{"Upload-Offset: 0", "Upload-Length: 25", "Upload-Name: a", offsetBytes}, http.StatusUnsupportedMediaType)
	if !strings.Contains(string(a.Body), "section FilePond") {
		t.Errorf("the answer does not help: %s", a.Body)
	}
	wantNothingStored(t, s)
	ask(t, http.MethodPut, s.URL("it"), strings.NewReader("0123456789"), nil, http.StatusCreated)
	ask(t, http.MethodGet, s.URL("it")+chunk, nil, nil, http.StatusBadRequest)
	ask(t, http.MethodPut, s.URL("one")+"?name=a&chunk=0&chunks=1", strings.NewReader("0123456789"), nil, http.StatusCreated)
}

// What is marked as a part in the way of resumable uploads (IETF draft) is stored as one.
func TestF29APartOfAResumableUploadIsNeverTheFile(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i, field := range []string{"Upload-Complete: ?0", "Upload-Complete: ?0;a=1", "Upload-Incomplete: ?1"} {
		url := s.URL(fmt.Sprintf("part-%d", i))
		ask(t, http.MethodPut, url, strings.NewReader("0123456789"), []string{field}, http.StatusCreated)
		if state := status(t, url); state.Complete || state.Offset != 10 {
			t.Errorf("%s: %+v", field, state)
		}
	}
}

// iOS marks the upload tasks of background sessions by itself, whole files and chunks.
func TestF29HeadersThatIOSAddsChangeNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	versions := map[string]string{"3": "Upload-Incomplete: ?0", "5": "Upload-Complete: ?1", "6": "Upload-Complete: ?1"}
	for version, complete := range versions {
		t.Run("interop "+version, func(t *testing.T) {
			url := s.URL("whole-" + version)
			fields := []string{"Upload-Draft-Interop-Version: " + version, complete, fmt.Sprintf("Upload-Length: %d", small.Size)}
			for range 2 {
				wantDone(t, ask(t, http.MethodPut, url, small.Part(small.All()), fields, http.StatusCreated), newClient(s, idOf(url), small))
			}
			wantFile(t, url, small)

			c := newClient(s, "chunks-"+version, small)
			for _, r := range []ranges.Range{ranges.Of(600, 400), ranges.Of(0, 600)} {
				_, completeName, _ := strings.Cut(complete, ": ")
				c.Header = http.Header{"Upload-Draft-Interop-Version": {version}, strings.Split(complete, ":")[0]: {completeName},
					"Upload-Length": {fmt.Sprint(r.Len())}} // of the chunk, for all that the task knows
				a := put(t, c, r, 202, 201)
				for name := range a.Header {
					if strings.HasPrefix(name, "Upload-") {
						t.Errorf("the answer to a chunk has %s", name)
					}
				}
			}
			wantFile(t, c.URL, small)
		})
	}
	t.Run("with Content-Range the marks of other dialects mean nothing", func(t *testing.T) {
		for i, field := range []string{"Upload-Complete: ?0", "Upload-Incomplete: ?1", "X-Content-Range: bytes 5-9/20"} {
			url := s.URL(fmt.Sprintf("marked-%d", i))
			ask(t, http.MethodPut, url, strings.NewReader("01234"), []string{"Content-Range: bytes 0-4/10", field}, 202)
			ask(t, http.MethodPut, url, strings.NewReader("56789"), []string{"Content-Range: bytes 5-9/10", field}, 201)
		}
	})
}

// Some clients send a chunk again without its body.
func TestAnEmptyBodyIsTheReplayOfARangeThatIsThere(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *Server) {
		for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodPatch} {
			url := s.URL("replay-" + strings.ToLower(method))
			replay := func(contentRange string, want int) Answer {
				t.Helper()
				return ask(t, method, url, nil, []string{"Content-Range: " + contentRange}, want)
			}
			replay("bytes 0-4/10", http.StatusBadRequest)
			ask(t, http.MethodGet, url, nil, nil, http.StatusNotFound)
			putAs(t, url, "01234", "bytes 0-4/*", http.StatusAccepted)
			replay("bytes 0-5/10", http.StatusBadRequest)
			replay("bytes 5-9/10", http.StatusBadRequest)
			replay("bytes 4-9/*", http.StatusBadRequest)
			if state := status(t, url); state.Size != nil || state.Offset != 5 {
				t.Errorf("a refused request has changed the state: %+v", state)
			}
			wantRange(t, replay("bytes 0-4/10", http.StatusAccepted), 5, 10)
			wantRange(t, replay("bytes 1-3/*", http.StatusAccepted), 5, 10)
			replay("bytes 0-4/11", http.StatusBadRequest)
			putAs(t, url, "56789", "bytes 5-9/10", http.StatusCreated)
			replay("bytes 5-9/10", http.StatusCreated)
			replay("bytes 0-9/*", http.StatusCreated)
			replay("bytes 5-9/11", http.StatusBadRequest)
			ask(t, http.MethodDelete, url, nil, nil, http.StatusNoContent)
			replay("bytes 5-9/10", http.StatusGone)
		}
	})
}
