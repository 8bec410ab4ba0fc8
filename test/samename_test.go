package test

import (
	"strings"
	"testing"
)

// Two ids can lead to one name, as "t" with the extension of its file and "t.mp4" do:
// the second client can neither read, replace nor delete what is not its own.
func TestTwoUploadsNeverHaveOneFile(t *testing.T) {
	t.Parallel()
	template := []string{"--key-template", "videos/{id}{ext}"}
	for where, start := range map[string]func(t *testing.T) *Server{
		"disk": func(t *testing.T) *Server { return start(t, template...) },
		"S3": func(t *testing.T) *Server {
			s, _, _ := startOnS3(t, template...)
			return s
		},
	} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			put := func(id, contentRange, body string, want int) {
				t.Helper()
				ask(t, "PUT", s.URL(id), strings.NewReader(body), []string{
					"Content-Range: bytes " + contentRange, `Content-Disposition: attachment; filename="a.mp4"`,
				}, want)
			}
			second := func(whenFirst string) {
				t.Helper()
				ask(t, "PUT", s.URL("t.mp4"), strings.NewReader("WRONG"), []string{"Content-Range: bytes 0-4/10"}, 409)
				ask(t, "POST", s.URL(""), nil, []string{"Tus-Resumable: 1.0.0", "Upload-Length: 10"}, 201) // others are well
				ask(t, "GET", s.URL("t.mp4"), nil, nil, 404)
				ask(t, "DELETE", s.URL("t.mp4"), nil, nil, 404, 204)
				t.Log("refused when the first is", whenFirst)
			}
			put("t", "0-4/10", "right", 202)
			second("begun")
			put("t", "5-9/10", "bytes", 201)
			second("finished")
			if answer := ask(t, "GET", s.URL("t"), nil, nil, 200); string(answer.Body) != "rightbytes" {
				t.Errorf("the first file holds %q", answer.Body)
			}
			ask(t, "DELETE", s.URL("t"), nil, nil, 204)
			ask(t, "PUT", s.URL("t.mp4"), strings.NewReader("other"), []string{"Content-Range: bytes 0-4/5"}, 201)
			if answer := ask(t, "GET", s.URL("t.mp4"), nil, nil, 200); string(answer.Body) != "other" {
				t.Errorf("the next file holds %q", answer.Body)
			}
		})
	}
}
