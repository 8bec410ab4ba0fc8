package test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// A body without a length is known to have ended only after its last byte was read. Here
// each ends where a unit of memory does, and in the middle of a part.
func TestBodiesWithoutALengthAreStoredRight(t *testing.T) {
	t.Parallel()
	s3, _, _ := startOnS3(t)
	for where, s := range map[string]*Server{"disk": start(t), "S3": s3} {
		t.Run(where, func(t *testing.T) {
			const size, chunk = 8 << 20, 1 << 20
			content := NewContent(77, size)
			answer := ask(t, "POST", s.URL(""), nil, []string{"Tus-Resumable: 1.0.0", fmt.Sprintf("Upload-Length: %d", size)}, 201)
			url := answer.Header.Get("Location")
			for at := int64(0); at < size; at += chunk {
				body := struct{ io.Reader }{content.Part(ranges.Of(at, chunk))} // of a type without a length
				ask(t, "PATCH", url, body, []string{"Tus-Resumable: 1.0.0",
					"Content-Type: application/offset+octet-stream", fmt.Sprintf("Upload-Offset: %d", at)}, 204)
			}
			resp, err := http.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if sum, n, err := Sum(resp.Body); err != nil || n != size || sum != content.Sum() {
				t.Errorf("%d bytes, %s, want %d, %s: %v", n, sum, size, content.Sum(), err)
			}
		})
	}
}
