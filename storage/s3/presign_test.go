package s3

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

func TestALinkServesTheFileUntilItExpires(t *testing.T) {
	opts := bucket(t)
	opts.PresignTTL = 8 * time.Second
	n := startNode(t, opts)
	c := &phone{t: t, node: n, data: storagetest.Content(1, 1000)}
	c.create(storage.Record{Size: 1000, Key: "videos/ä b.html", Metadata: map[string]string{"filename": "ä b.html", "filetype": "text/html"}})
	c.send(ranges.Of(0, 1000))
	up, err := n.Get(t.Context(), c.id)
	if err != nil {
		t.Fatal(err)
	}
	link, err := n.Link(t.Context(), up)
	if err != nil {
		t.Fatalf("link: %v", err)
	}
	resp, text := get(t, link)
	if resp.StatusCode != http.StatusOK || text != string(c.data) {
		t.Errorf("get %s: %s, %d bytes", link, resp.Status, len(text))
	}
	if d := resp.Header.Get("Content-Disposition"); !strings.HasPrefix(d, "attachment") {
		t.Errorf("Content-Disposition %q, want an attachment", d)
	}
	time.Sleep(9 * time.Second)
	if resp, _ := get(t, link); resp.StatusCode != http.StatusForbidden {
		t.Errorf("get after expiry: %s, want 403", resp.Status)
	}
}

func TestALinkUsesThePublicEndpoint(t *testing.T) {
	opts := bucket(t)
	opts.PresignTTL, opts.PublicEndpoint = time.Minute, "https://files.example:8443"
	up := storage.Upload{Record: storage.Record{ID: "it", Size: 1}, Finished: true}
	link, err := mustOpen(t, opts).Link(t.Context(), up)
	if err != nil || !strings.HasPrefix(link, "https://files.example:8443/"+opts.Bucket+"/it?") {
		t.Errorf("link %s, %v", link, err)
	}
	opts.PresignTTL = 0
	if link, err := mustOpen(t, opts).Link(t.Context(), up); link != "" || err != nil {
		t.Errorf("links are disabled: got %q, %v", link, err)
	}
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}
