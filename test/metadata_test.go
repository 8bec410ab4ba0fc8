package test

import (
	"encoding/base64"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// metadataOf are the entries of an Upload-Metadata header.
func metadataOf(t *testing.T, header string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for pair := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(pair, " ")
		text, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			t.Errorf("%s: %v", pair, err)
		}
		out[name] = string(text)
	}
	return out
}

// F27: metadata are returned as they were sent, whatever bytes they are: from the record,
// from the cache, and from the finished file.
func TestF27MetadataThatAreNotUTF8AreReturnedAsSent(t *testing.T) {
	t.Parallel()
	content := NewContent(1, 1000)
	sent := map[string]string{"filename": "sp\xe4t.mp4", "raw": "\x00\xff\xfe", "surrogate": "\xed\xa0\x80", "text": "spät", "none": ""}
	var pairs []string
	for name, value := range sent {
		pairs = append(pairs, name+" "+base64.StdEncoding.EncodeToString([]byte(value)))
	}
	check := func(s *Server) {
		want := func(url, when string) {
			t.Helper()
			answer, _ := head(t, url, http.StatusOK)
			if got := metadataOf(t, answer.Header.Get("Upload-Metadata")); !maps.Equal(got, sent) {
				t.Errorf("%s: %q, sent was %q", when, got, sent)
			}
		}
		url := createTus(t, s, content.Size, "Upload-Metadata: "+strings.Join(pairs, ","))
		want(url, "new")
		patch(t, url, content, ranges.Of(0, 500), http.StatusNoContent)
		want(url, "half full")
		restart(t, s)
		want(url, "half full, after a restart")
		patch(t, url, content, ranges.Range{Start: 500, End: 1000}, http.StatusNoContent)
		want(url, "finished")
		restart(t, s)
		want(url, "finished, after a restart")
	}
	t.Run("disk", func(t *testing.T) { check(start(t)) })
	t.Run("S3 and Redis", func(t *testing.T) {
		s := onS3(t, []string{"--redis", servers.Redis(t).URL("redis")})
		run(t, s)
		check(s)
	})
}
