package test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/hooks/auth"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// objectLinks is what an object says of itself and of where it is.
type objectLinks struct {
	Name, Bucket, SelfLink, MediaLink string
	Metadata                          map[string]string
}

// Google's libraries get an upload of any protocol by its id: the object that a session
// answers with has links that work.
func TestEveryFinishedUploadIsAnObjectUnderItsID(t *testing.T) {
	t.Parallel()
	s := guarded(t)
	anna, bert := Bearer(Token("anna")), Bearer(Token("bert"))
	upload := createTus(t, s, small.Size, anna, "Upload-Metadata: name dmlkZW8ubXA0")
	object := "http://" + s.Addr + "/storage/v1/b/holdfast/o/" + idOf(upload)
	rawAnswer(t, "GET", object, "", []string{anna}, 404) // it is not finished
	a := rawAnswer(t, "PUT", upload+"?uploadType=resumable", string(small.Bytes(small.All())), []string{anna, "Content-Range: " + ContentRange(small.All(), small.Size)}, 200)
	var found objectLinks
	if err := json.Unmarshal(a.Body, &found); err != nil || found.SelfLink != object || found.Name != idOf(upload) || found.Bucket != "holdfast" || found.Metadata["name"] != "video.mp4" {
		t.Errorf("the object is %s, %v", a.Body, err)
	}
	for _, link := range []string{found.MediaLink, object + "?alt=media"} {
		if got := rawAnswer(t, "GET", link, "", []string{anna}, 200); string(got.Body) != string(small.Bytes(small.All())) {
			t.Errorf("%s has %d bytes, not those of the file", link, len(got.Body))
		}
		rawAnswer(t, "GET", link, "", []string{bert}, 404)
	}
	rawAnswer(t, "GET", object+"?generation=1", "", []string{anna}, 404)
	rawAnswer(t, "DELETE", object, "", []string{bert}, 404)
	rawAnswer(t, "DELETE", object, "", []string{anna}, 204)
	rawAnswer(t, "GET", object, "", []string{anna}, 404)
	ask(t, http.MethodGet, upload, nil, []string{anna}, http.StatusGone)
}

// An upload whose id is not made of its name is found by its id, and keeps its name.
func TestAnObjectWithAChosenIDHasLinksThatWork(t *testing.T) {
	t.Parallel()
	s := guarded(t)
	anna := Bearer(Token("anna"))
	ticket := TicketFor(auth.Ticket{Upload: "mine", Subject: "anna", Create: true})
	a := rawAnswer(t, "POST", googleURL(s, "", "uploadType=media&name=holiday.mp4"), "text", []string{"Upload-Ticket: " + ticket}, 200)
	var found objectLinks
	if err := json.Unmarshal(a.Body, &found); err != nil || found.Name != "holiday.mp4" || found.Bucket != "videos" {
		t.Errorf("the object is %s, %v", a.Body, err)
	}
	for _, link := range []string{found.MediaLink, found.SelfLink + "?alt=media"} {
		if got := rawAnswer(t, "GET", link, "", []string{anna}, 200); string(got.Body) != "text" {
			t.Errorf("%s has %q", link, got.Body)
		}
	}
	rawAnswer(t, "GET", googleURL(s, "holiday.mp4", ""), "", []string{anna}, 404)
}

// An object whose name is also the id of another upload is not taken for it.
func TestANameInTheBucketOfIDsIsStillAName(t *testing.T) {
	t.Parallel()
	s := start(t)
	put(t, newClient(s, "video.mp4", small), ranges.Of(0, 300), http.StatusAccepted)
	create := "http://" + s.Addr + "/upload/storage/v1/b/holdfast/o?uploadType=media&name=" + url.QueryEscape("video.mp4")
	rawAnswer(t, "POST", create, "text", nil, 200)
	object := "http://" + s.Addr + "/storage/v1/b/holdfast/o/video.mp4?alt=media"
	if a := rawAnswer(t, "GET", object, "", nil, 200); string(a.Body) != "text" {
		t.Errorf("the object has %q", a.Body)
	}
	other := strings.Replace(object, "/holdfast/", "/videos/", 1)
	put(t, newClient(s, "video.mp4", small), ranges.Of(300, 700), http.StatusCreated)
	wantFile(t, object, small) // the upload with this id is finished now
	rawAnswer(t, "GET", other, "", nil, 404)
}

// The MD5 of an object is known if its client has given it with the whole file; it is not
// taken from what a client says without the server having verified it.
func TestTheMD5ThatWasVerifiedIsInTheObject(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, size := range []int64{0, 1000, 2*mib + 1} {
		text := strings.Repeat("x", int(size))
		sum := md5.Sum([]byte(text))
		encoded := base64.StdEncoding.EncodeToString(sum[:])
		related := fmt.Sprintf("--b\r\n\r\n{\"name\":\"related\",\"md5Hash\":%q}\r\n--b\r\n\r\n%s\r\n--b--", encoded, text)
		rawAnswer(t, "POST", googleURL(s, "", "uploadType=multipart"), related, []string{"Content-Type: multipart/related; boundary=b"}, 200)
		rawAnswer(t, "POST", googleURL(s, "", "uploadType=media&name=media"), text, []string{"X-Goog-Hash: md5=" + encoded}, 200)
		for _, name := range []string{"related", "media"} {
			if a := rawAnswer(t, "GET", googleURL(s, name, ""), "", nil, 200); !strings.Contains(string(a.Body), fmt.Sprintf(`"md5Hash":%q`, encoded)) || strings.Contains(string(a.Body), `"metadata"`) {
				t.Errorf("%s of %d bytes: %s", name, size, a.Body)
			}
			a := rawAnswer(t, "GET", googleURL(s, name, "alt=media"), "", nil, 200)
			if got := a.Header.Values("X-Goog-Hash"); len(got) != 2 || got[1] != "md5="+encoded {
				t.Errorf("%s of %d bytes: %v", name, size, got)
			}
		}
	}
	unverified := `{"md5Hash":"AAAAAAAAAAAAAAAAAAAAAA=="}`
	a := rawAnswer(t, "POST", googleURL(s, "", "uploadType=resumable&name=session"), unverified, nil, 200)
	a = rawAnswer(t, "PUT", a.Header.Get("Location"), "text", []string{"Content-Range: bytes 0-3/4"}, 200)
	if strings.Contains(string(a.Body), "md5Hash") {
		t.Errorf("an MD5 that was not verified: %s", a.Body)
	}
	rawAnswer(t, "POST", googleURL(s, "", "uploadType=resumable&name=session"), `{"metadata":`+unverified+`}`, nil, 400)
}
