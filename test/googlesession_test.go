package test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/auth"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// googleURL returns the URL of an object, or with a name of "" that of its bucket's uploads.
func googleURL(s *Server, name, query string) string {
	if name == "" {
		return "http://" + s.Addr + "/upload/storage/v1/b/videos/o?" + query
	}
	return "http://" + s.Addr + "/storage/v1/b/videos/o/" + url.PathEscape(name) + "?" + query
}

// rawAnswer is an answer whose JSON, if any, is not that of holdfast.
func rawAnswer(t *testing.T, method, url, body string, fields []string, want int) Answer {
	t.Helper()
	given := slices.DeleteFunc(slices.Clone(fields), func(f string) bool { return f == "" || strings.HasSuffix(f, ": ") })
	req := request(t, method, url, strings.NewReader(body), given...)
	resp, err := noRedirect.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		t.Fatalf("%s %s with %v: %d %s, %v, want %d", method, url, fields, resp.StatusCode, text, err, want)
	}
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: text}
}

var noRedirect = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// googleSession creates an upload of small, and returns its session URL.
func googleSession(t *testing.T, s *Server, name string, fields ...string) string {
	t.Helper()
	a := rawAnswer(t, "POST", googleURL(s, "", "uploadType=resumable&name="+url.QueryEscape(name)), "{}", fields, 200)
	session := a.Header.Get("Location")
	if !strings.HasPrefix(session, s.URL("")) || a.Header.Get("Content-Length") != "0" {
		t.Fatalf("a session is created with %v", a.Header)
	}
	return session
}

// googlePut sends a part of small, and demands the status and the range of the answer.
func googlePut(t *testing.T, session string, r ranges.Range, total string, want int, wantRange string, fields ...string) Answer {
	t.Helper()
	span := fmt.Sprintf("%d-%d", r.Start, r.End-1)
	body := ""
	if r == (ranges.Range{}) {
		span = "*"
	} else {
		body = string(small.Bytes(r))
	}
	a := rawAnswer(t, "PUT", session, body, append(fields, "Content-Range: bytes "+span+"/"+total), want)
	if a.Header.Get("Range") != wantRange || want == 308 && a.Header.Get("Location") != "" {
		t.Fatalf("bytes %s/%s: %v, want the range %q", span, total, a.Header, wantRange)
	}
	return a
}

func TestAGoogleSessionAnswersAsGoogleDoes(t *testing.T) {
	t.Parallel()
	s := start(t)
	state := ranges.Range{}
	session := googleSession(t, s, "dir/a b.mp4", "X-Upload-Content-Type: video/mp4")
	googlePut(t, session, state, "*", 308, "")
	googlePut(t, session, ranges.Of(500, 100), "*", 308, "") // a gap before it
	googlePut(t, session, ranges.Of(0, 300), "*", 308, "bytes=0-299")
	googlePut(t, session, ranges.Of(0, 300), "*", 308, "bytes=0-299") // again
	googlePut(t, session, state, "1000", 308, "bytes=0-299")          // does not set the size: bytes are missing
	googlePut(t, session, ranges.Of(300, 200), "*", 308, "bytes=0-599")
	override := rawAnswer(t, "POST", session, string(small.Bytes(ranges.Of(600, 100))), []string{"Content-Range: bytes 600-699/*", "X-GUploader-No-308: yes"}, 200)
	if override.Header.Get("X-HTTP-Status-Code-Override") != "308" || len(override.Body) != 0 {
		t.Errorf("to a client that wants no 308: %v %s", override.Header, override.Body)
	}
	want := fmt.Sprintf(`"size":"1000","crc32c":%q`, crc32c.Of(small.Bytes(small.All())))
	for range 2 { // the last chunk, and again after its answer was lost
		a := googlePut(t, session, ranges.Of(700, 300), "1000", 200, "", "X-Goog-Hash: crc32c="+crc32c.Of(small.Bytes(small.All())).String())
		if !strings.Contains(string(a.Body), want) || !strings.Contains(string(a.Body), `"name":"dir/a b.mp4"`) {
			t.Errorf("the object is %s, want %s", a.Body, want)
		}
	}
	for _, total := range []string{"*", "1000"} {
		if a := googlePut(t, session, state, total, 200, ""); !strings.Contains(string(a.Body), want) {
			t.Errorf("the state is %s", a.Body)
		}
	}
	googlePut(t, session, state, "*", 308, "bytes=0-999", "X-Goog-Api-Client: gl-node/20.1 gccl/7.22")
	rawAnswer(t, "PUT", session, "", []string{"Content-Range: bytes 1000-999/1000", "X-Goog-Api-Client: gl-node/20.1"}, 200)
	wantFile(t, googleURL(s, "dir/a b.mp4", "alt=media"), small)
	wantOneEvent(t, s, idOf(strings.TrimSuffix(session, "?uploadType=resumable")), "finished")
}

func TestAGoogleSessionOfAnEmptyFileEndsInEveryWay(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, contentRange := range []string{"", "bytes */0", "bytes 0--1/0", "bytes 0-*/*"} {
		for _, length := range []string{"", "X-Upload-Content-Length: 0"} {
			session := googleSession(t, s, "empty", length)
			a := rawAnswer(t, "PUT", session, "", []string{"Content-Range: " + contentRange}, 200)
			if !strings.Contains(string(a.Body), `"size":"0","crc32c":"AAAAAA=="`) {
				t.Errorf("%q, %q: %s", contentRange, length, a.Body)
			}
		}
	}
}

func TestABodyThatGooglesLibrariesHaveCompressedIsStoredAsTheFile(t *testing.T) {
	t.Parallel()
	s := start(t)
	compress := func(text []byte) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(text)
		_ = z.Close()
		return b.String()
	}
	encoded := "Content-Encoding: gzip"
	session := googleSession(t, s, "chunks")
	for _, r := range []ranges.Range{ranges.Of(0, 400), ranges.Of(400, 600)} {
		rawAnswer(t, "PUT", session, compress(small.Bytes(r)), []string{encoded, "Content-Range: " + ContentRange(r, small.Size)}, map[bool]int{true: 308, false: 200}[r.Start == 0])
	}
	rawAnswer(t, "POST", googleURL(s, "", "uploadType=media&name=media"), compress(small.Bytes(small.All())), []string{encoded, "Content-Type: video/mp4"}, 200)
	related := "--b\r\nContent-Type: application/json\r\n\r\n{\"name\":\"related\"}\r\n--b\r\nContent-Type: video/mp4\r\n\r\n" + string(small.Bytes(small.All())) + "\r\n--b--\r\n"
	rawAnswer(t, "POST", googleURL(s, "", "uploadType=multipart"), compress([]byte(related)), []string{encoded, "Content-Type: multipart/related; boundary=b"}, 200)
	for _, name := range []string{"chunks", "media", "related"} {
		wantFile(t, googleURL(s, name, "alt=media"), small)
	}
	session = googleSession(t, s, "corrupt")
	rawAnswer(t, "PUT", session, "not gzip", []string{encoded, "Content-Range: bytes 0-7/8"}, 400)
	googlePut(t, session, ranges.Range{}, "*", 308, "")
}

func TestAFileWithAnotherHashThanItsClientSaysIsNotAnnounced(t *testing.T) {
	t.Parallel()
	s := start(t)
	const wrong = "crc32c=AAAAAA=="
	session := googleSession(t, s, "session")
	googlePut(t, session, ranges.Of(0, 500), "*", 308, "bytes=0-499")
	googlePut(t, session, ranges.Of(500, 500), "1000", 400, "", "X-Goog-Hash: "+wrong)
	googlePut(t, session, ranges.Range{}, "*", 410, "")
	for name, c := range map[string]struct{ properties, field string }{
		"in a header":       {`{"name":"multipart"}`, "X-Goog-Hash: " + wrong},
		"in the properties": {`{"name":"multipart","crc32c":"AAAAAA=="}`, ""},
		"of MD5":            {`{"name":"multipart","md5Hash":"AAAAAAAAAAAAAAAAAAAAAA=="}`, ""},
	} {
		for _, size := range []int64{1000, 2*mib + 1} {
			body := "--b\r\n\r\n" + c.properties + "\r\n--b\r\n\r\n" + strings.Repeat("x", int(size)) + "\r\n--b--"
			a := rawAnswer(t, "POST", googleURL(s, "", "uploadType=multipart"), body, []string{"Content-Type: multipart/related; boundary=b", c.field}, 400)
			if !strings.Contains(string(a.Body), `"code":400`) {
				t.Errorf("%s: %s", name, a.Body)
			}
		}
	}
	for _, name := range []string{"session", "multipart"} {
		rawAnswer(t, "GET", googleURL(s, name, ""), "", nil, 404)
	}
	if log := s.Log(); strings.Contains(log, `"upload finished"`) {
		t.Error("an upload was finished")
	}
}

func TestInvalidGoogleRequestsAreRejected(t *testing.T) {
	t.Parallel()
	s := start(t, "--max-size", "5000")
	session := googleSession(t, s, "it")
	create := func(query string) string { return googleURL(s, "", query) }
	related := []string{"Content-Type: multipart/related; boundary=b"}
	for name, c := range map[string]struct {
		method, url, body string
		fields            []string
		want              int
	}{
		"no uploadType":       {"POST", create(""), "{}", nil, 400},
		"properties":          {"POST", create("uploadType=resumable"), "{", nil, 400},
		"length":              {"POST", create("uploadType=resumable"), "", []string{"X-Upload-Content-Length: x"}, 400},
		"too large":           {"POST", create("uploadType=resumable"), "", []string{"X-Upload-Content-Length: 5001"}, 413},
		"too large media":     {"POST", create("uploadType=media&name=a"), strings.Repeat("x", 5001), nil, 413},
		"no boundary":         {"POST", create("uploadType=multipart"), "x", nil, 415},
		"one part":            {"POST", create("uploadType=multipart"), "--b\r\n\r\n{}\r\n--b--", related, 400},
		"no part":             {"POST", create("uploadType=multipart"), "text", related, 400},
		"hash":                {"POST", create("uploadType=media"), "x", []string{"X-Goog-Hash: crc32c=x"}, 400},
		"range":               {"PUT", session, "x", []string{"Content-Range: bytes 5-4/3"}, 400},
		"range of other size": {"PUT", session, "x", []string{"Content-Range: bytes 0-4/5"}, 400},
		"beyond the limit":    {"PUT", session, "x", []string{"Content-Range: bytes 5000-5000/*"}, 413},
		"coding":              {"PUT", session, "x", []string{"Content-Range: bytes 0-0/*", "Content-Encoding: br"}, 415},
		"no such session":     {"PUT", s.URL("none") + "?uploadType=resumable", "x", []string{"Content-Range: bytes 0-0/*"}, 404},
		"no such object":      {"GET", googleURL(s, "none", ""), "", nil, 404},
		"deletion of none":    {"DELETE", googleURL(s, "none", ""), "", nil, 404},
		"a list of objects":   {"GET", "http://" + s.Addr + "/storage/v1/b/videos/o?prefix=x", "", nil, 404},
		"update of an object": {"PATCH", googleURL(s, "it", ""), "{}", nil, 405},
	} {
		a := rawAnswer(t, c.method, c.url, c.body, c.fields, c.want)
		if c.want != 405 && !strings.Contains(string(a.Body), fmt.Sprintf(`{"error":{"code":%d,`, c.want)) {
			t.Errorf("%s: %s", name, a.Body)
		}
	}
	googlePut(t, session, ranges.Range{}, "*", 308, "")
	rawAnswer(t, "DELETE", session, "", nil, 499)
	googlePut(t, session, ranges.Range{}, "*", 410, "")
}

func TestAnObjectIsTheNewestUploadOfItsName(t *testing.T) {
	t.Parallel()
	s := start(t)
	var generations []string
	for _, text := range []string{"first", "second"} {
		rawAnswer(t, "POST", googleURL(s, "", "uploadType=media&name=a%2Fb"), text, nil, 200)
		generations = append(generations, getObject(t, googleURL(s, "a/b", "")).Generation)
	}
	googleSession(t, s, "a/b") // is not an object yet
	restart(t, s)
	wantText := func(query, want string) {
		t.Helper()
		if a := rawAnswer(t, "GET", googleURL(s, "a/b", "alt=media"+query), "", nil, 200); string(a.Body) != want || a.Header.Get("X-Goog-Hash") == "" {
			t.Errorf("%s: %q, %v, want %q", query, a.Body, a.Header, want)
		}
	}
	wantText("", "second")
	wantText("&generation="+generations[0], "first")
	rawAnswer(t, "DELETE", googleURL(s, "a/b", ""), "", nil, 204)
	wantText("", "first")
	rawAnswer(t, "GET", googleURL(s, "a/b", "generation="+generations[1]), "", nil, 404)
	rawAnswer(t, "DELETE", googleURL(s, "a/b", ""), "", nil, 204)
	rawAnswer(t, "GET", googleURL(s, "a/b", ""), "", nil, 404)
}

func TestAGoogleSessionIsContinuedByOtherProtocols(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := googleSession(t, s, "video.mp4", "X-Upload-Content-Type: video/mp4", "X-Upload-Content-Length: 1000")
	upload := strings.TrimSuffix(session, "?uploadType=resumable")
	googlePut(t, session, ranges.Of(0, 300), "1000", 308, "bytes=0-299")
	if _, offset := head(t, upload, http.StatusOK); offset != 300 {
		t.Errorf("tus continues at %d", offset)
	}
	patch(t, upload, small, ranges.Of(300, 200), http.StatusNoContent)
	put(t, newClient(s, idOf(upload), small), ranges.Of(600, 400), http.StatusAccepted)
	googlePut(t, session, ranges.Range{}, "1000", 308, "bytes=0-499")
	googlePut(t, session, ranges.Of(500, 100), "1000", 200, "")
	wantFile(t, upload, small)
	a := ask(t, http.MethodGet, upload, nil, nil, http.StatusOK)
	if !strings.Contains(a.Header.Get("Content-Disposition"), "video.mp4") || a.Header.Get("Content-Type") != "video/mp4" {
		t.Errorf("the file is served as %v", a.Header)
	}

	url := createTus(t, s, small.Size)
	patch(t, url, small, ranges.Of(0, 300), http.StatusNoContent)
	googlePut(t, url+"?uploadType=resumable", ranges.Of(300, 700), "1000", 200, "")
	wantFile(t, url, small)
}

func TestGoogleUploadsBelongToTheirOwner(t *testing.T) {
	t.Parallel()
	s := guarded(t, "--ticket-ttl", "1h")
	anna, bert := Bearer(Token("anna")), Bearer(Token("bert", map[string]any{"upload_prefix": "bert-"}))
	media := googleURL(s, "", "uploadType=media&name=a")
	rawAnswer(t, "POST", media, "text", nil, 401)
	for _, who := range []string{anna, bert} {
		rawAnswer(t, "POST", media, "text of "+who, []string{who}, 200)
		if a := rawAnswer(t, "GET", googleURL(s, "a", "alt=media"), "", []string{who}, 200); string(a.Body) != "text of "+who {
			t.Errorf("the object of %s is %s", who, a.Body)
		}
	}
	rawAnswer(t, "GET", googleURL(s, "a", ""), "", nil, 401)
	session := googleSession(t, s, "b", anna) // has a ticket, for clients that send no token with chunks
	rawAnswer(t, "PUT", strings.Replace(session, "ticket=", "x=", 1), "text", []string{"Content-Range: bytes 0-3/4"}, 401)
	rawAnswer(t, "PUT", session, "text", []string{"Content-Range: bytes 0-3/4", bert}, 200)
	rawAnswer(t, "GET", googleURL(s, "b", ""), "", []string{anna}, 200)
	rawAnswer(t, "GET", googleURL(s, "b", ""), "", []string{bert}, 404)

	creates := TicketFor(auth.Ticket{Upload: "mine", Create: true})
	rawAnswer(t, "POST", media, "text", []string{"Upload-Ticket: " + creates}, 200)
	ask(t, "GET", s.URL("mine"), nil, []string{"Upload-Ticket: " + TicketFor(auth.Ticket{Upload: "mine", Download: true})}, 200)
}

func TestGoogleUploadsCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	s := start(t, "--no-google-uploads")
	a := rawAnswer(t, "POST", googleURL(s, "", "uploadType=media&name=a"), "text", nil, 404)
	if !strings.Contains(string(a.Body), "Nothing is here") {
		t.Errorf("%s", a.Body)
	}
	put(t, newClient(s, "it", small), ranges.Of(0, 300), http.StatusAccepted)
	ask(t, http.MethodPut, s.URL("it")+"?uploadType=resumable", nil, []string{"Content-Range: bytes */*"}, http.StatusAccepted)
}

func TestAGoogleStateIsAnsweredBesideABodyThatHangs(t *testing.T) {
	t.Parallel()
	s := start(t)
	session, content := googleSession(t, s, "it"), NewContent(50, mib)
	w := dial(t, s.Addr)
	w.send("PUT "+strings.TrimPrefix(session, "http://"+s.Addr)+" HTTP/1.1", "Host: "+s.Addr, "Content-Range: bytes 0-1048575/1048576", "Content-Length: 1048576")
	w.write(string(content.Bytes(ranges.Of(0, 600*kib))))
	var stored int64
	eventually(t, 30*time.Second, "bytes of the body are reported", func() bool {
		a := rawAnswer(t, "PUT", session, "", []string{"Content-Range: bytes */1048576"}, 308)
		n, _ := fmt.Sscanf(a.Header.Get("Range"), "bytes=0-%d", &stored)
		return n == 1
	})
	w.reset()
	rest := ranges.Range{Start: stored + 1, End: mib}
	rawAnswer(t, "PUT", session, string(content.Bytes(rest)), []string{"Content-Range: " + ContentRange(rest, mib)}, 200)
	wantFile(t, googleURL(s, "it", "alt=media"), content)
}
