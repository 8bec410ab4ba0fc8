package test

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

const (
	tusVersion  = "Tus-Resumable: 1.0.0"
	offsetBytes = "Content-Type: application/offset+octet-stream"
)

// createTus makes an upload by tus and returns its URL. Further header fields are
// added to the request; "Upload-Length" is among them unless size is negative.
func createTus(t *testing.T, s *Server, size int64, fields ...string) string {
	t.Helper()
	fields = append(fields, tusVersion)
	if size >= 0 {
		fields = append(fields, "Upload-Length: "+strconv.FormatInt(size, 10))
	}
	answer := ask(t, http.MethodPost, s.URL(""), nil, fields, http.StatusCreated)
	url := answer.Header.Get("Location")
	if !strings.HasPrefix(url, s.URL("")) {
		t.Fatalf("Location %q does not lie below %s", url, s.URL(""))
	}
	return url
}

// idOf is the id of the upload at a URL.
func idOf(url string) string { return url[strings.LastIndex(url, "/")+1:] }

// head asks a tus server where to go on.
func head(t *testing.T, url string, want ...int) (Answer, int64) {
	t.Helper()
	answer := ask(t, http.MethodHead, url, nil, []string{tusVersion}, want...)
	offset, err := strconv.ParseInt(answer.Header.Get("Upload-Offset"), 10, 64)
	if err != nil && answer.Status == http.StatusOK {
		t.Fatalf("HEAD: Upload-Offset %q", answer.Header.Get("Upload-Offset"))
	}
	return answer, offset
}

// patchRequest is a PATCH with the bytes of r.
func patchRequest(ctx context.Context, url string, content Content, r ranges.Range) *http.Request {
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, url, content.Part(r))
	if err != nil {
		panic(err) // the URL is one that the server gave
	}
	req.ContentLength = r.Len()
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Content-Type", "application/offset+octet-stream")
	req.Header.Set("Upload-Offset", strconv.FormatInt(r.Start, 10))
	return req
}

func patch(t *testing.T, url string, content Content, r ranges.Range, want ...int) Answer {
	t.Helper()
	answer, err := Do(http.DefaultClient, patchRequest(t.Context(), url, content, r))
	if err != nil {
		t.Fatalf("PATCH %v: %v", r, err)
	}
	demand(t, answer, want...)
	return answer
}

// finishTus sends what is missing as a tus client does that was interrupted: it
// asks for the offset, sends the rest, and asks again if that was refused for now.
func finishTus(t *testing.T, url string, content Content) {
	t.Helper()
	began := time.Now()
	for time.Since(began) < 30*time.Second {
		answer, offset := head(t, url, http.StatusOK, http.StatusLocked)
		if answer.Status == http.StatusOK && offset == content.Size {
			return
		}
		if answer.Status == http.StatusOK {
			_, _ = Do(http.DefaultClient, patchRequest(t.Context(), url, content, ranges.Range{Start: offset, End: content.Size}))
			continue
		}
		time.Sleep(RetryAfter(answer.Header))
	}
	t.Fatal("a tus client could not go on for 30 s")
}

func TestTusCreationRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	s := start(t, "--max-size", "1000000")
	files := listing(t, s.Data)
	tests := map[string]struct {
		fields []string
		want   int
	}{
		"no length":                      {nil, 400},
		"length is empty":                {[]string{"Upload-Length: "}, 400},
		"length is a word":               {[]string{"Upload-Length: long"}, 400},
		"length is negative":             {[]string{"Upload-Length: -1"}, 400},
		"length is a fraction":           {[]string{"Upload-Length: 1.5"}, 400},
		"length of 2^63":                 {[]string{"Upload-Length: 9223372036854775808"}, 400},
		"length of 30 digits":            {[]string{"Upload-Length: 100000000000000000000000000000"}, 400},
		"length of max-size + 1":         {[]string{"Upload-Length: 1000001"}, 413},
		"length of 2^63-1":               {[]string{"Upload-Length: 9223372036854775807"}, 413},
		"length and deferred length":     {[]string{"Upload-Length: 10", "Upload-Defer-Length: 1"}, 400},
		"deferred length of 2":           {[]string{"Upload-Defer-Length: 2"}, 400},
		"metadata that is no base64":     {[]string{"Upload-Length: 10", "Upload-Metadata: filename !!!!"}, 400},
		"metadata with a bad second key": {[]string{"Upload-Length: 10", "Upload-Metadata: a YQ==,b ***"}, 400},
		"metadata with three words":      {[]string{"Upload-Length: 10", "Upload-Metadata: a YQ== YQ=="}, 400},
		"concatenation of nothing":       {[]string{"Upload-Concat: final;"}, 400},
		"concatenation of what is not":   {[]string{"Upload-Concat: final;/files/none"}, 404},
		"concatenation of elsewhere":     {[]string{"Upload-Concat: final;http://example.com/other/none"}, 404},
		"concatenation of 1,001 parts":   {[]string{"Upload-Concat: final;" + strings.Repeat("/files/none ", 1001)}, 400},
		"concatenation of neither kind":  {[]string{"Upload-Length: 10", "Upload-Concat: half"}, 400},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ask(t, http.MethodPost, s.URL(""), nil, append(tt.fields, tusVersion), tt.want)
		})
	}
	t.Run("another version", func(t *testing.T) {
		for _, method := range []string{http.MethodPost, http.MethodPatch, http.MethodDelete} {
			a := ask(t, method, s.URL("it"), nil, []string{"Upload-Length: 10", "Tus-Resumable: 0.2.2", offsetBytes}, http.StatusPreconditionFailed)
			if got := a.Header.Get("Tus-Version"); got != "1.0.0" {
				t.Errorf("%s: Tus-Version %q", method, got)
			}
		}
	})
	t.Run("metadata of a mebibyte", func(t *testing.T) {
		long := base64.StdEncoding.EncodeToString(make([]byte, mib))
		w := dial(t, s.Addr)
		w.send("POST /files/ HTTP/1.1", "Host: "+s.Addr, tusVersion, "Upload-Length: 10", "Content-Length: 0")
		demand(t, w.answer(), http.StatusCreated) // the same without metadata is right
		w = dial(t, s.Addr)
		fmt.Fprintf(w.conn, "POST /files/ HTTP/1.1\r\nHost: %s\r\n%s\r\nUpload-Length: 10\r\nUpload-Metadata: a %s\r\n\r\n", s.Addr, tusVersion, long)
		demand(t, w.answer(), http.StatusRequestHeaderFieldsTooLarge, http.StatusRequestEntityTooLarge, http.StatusBadRequest)
	})
	const ofTheRightOne = 2
	if now := listing(t, s.Data); len(now) > len(files)+ofTheRightOne {
		t.Errorf("files were left: %v", now)
	}
}

func TestTusPatchRefusesWhatDoesNotFitAndTheUploadStaysUsable(t *testing.T) {
	t.Parallel()
	s := start(t)
	ten := strings.Repeat("x", 10)
	tests := map[string]struct {
		fields []string
		body   string
		want   []int
	}{
		"offset too high":              {[]string{"Upload-Offset: 11", offsetBytes}, ten, []int{409}},
		"offset beyond the end":        {[]string{"Upload-Offset: 101", offsetBytes}, ten, []int{409}},
		"offset of 2^63-1":             {[]string{"Upload-Offset: 9223372036854775807", offsetBytes}, ten, []int{409}},
		"offset of 2^63":               {[]string{"Upload-Offset: 9223372036854775808", offsetBytes}, ten, []int{400}},
		"negative offset":              {[]string{"Upload-Offset: -1", offsetBytes}, ten, []int{400}},
		"offset is a word":             {[]string{"Upload-Offset: ten", offsetBytes}, ten, []int{400}},
		"no offset":                    {[]string{offsetBytes}, ten, []int{400}},
		"no type":                      {[]string{"Upload-Offset: 10"}, ten, []int{400, 415}},
		"the wrong type":               {[]string{"Upload-Offset: 10", "Content-Type: text/plain"}, ten, []int{400, 415}},
		"body beyond the end":          {[]string{"Upload-Offset: 10", offsetBytes}, strings.Repeat("x", 91), []int{413, 400}},
		"another length":               {[]string{"Upload-Offset: 10", "Upload-Length: 99", offsetBytes}, ten, []int{400}},
		"a Content-Range":              {[]string{"Upload-Offset: 10", "Content-Range: bytes 10-19/100", offsetBytes}, ten, []int{400}},
		"unknown checksum algorithm":   {[]string{"Upload-Offset: 10", "Upload-Checksum: crc7 AAAA", offsetBytes}, ten, []int{400}},
		"checksum that is no base64":   {[]string{"Upload-Offset: 10", "Upload-Checksum: sha1 !!!!", offsetBytes}, ten, []int{400}},
		"checksum of other bytes":      {[]string{"Upload-Offset: 10", "Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", offsetBytes}, ten, []int{460}},
		"checksum of the wrong length": {[]string{"Upload-Offset: 10", "Upload-Checksum: sha1 AAAA", offsetBytes}, ten, []int{400, 460}},
	}
	n := 0
	for name, tt := range tests {
		n++
		t.Run(name, func(t *testing.T) {
			v := newVictim(t, s, fmt.Sprintf("patch-%d", n))
			ask(t, http.MethodPatch, v.url(), strings.NewReader(tt.body), append(tt.fields, tusVersion), tt.want...)
			v.survives(nothing)
		})
	}
}

func TestTusPatchWithABrokenBodyKeepsWhatCame(t *testing.T) {
	t.Parallel()
	s := start(t)
	ends := map[string]func(w *wire){"FIN": (*wire).end, "reset": (*wire).reset}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			v := newVictim(t, s, "broken-"+name)
			w := dial(t, s.Addr)
			w.send("PATCH /files/"+v.id+" HTTP/1.1", "Host: "+s.Addr, tusVersion, offsetBytes, "Upload-Offset: 10", "Content-Length: 50")
			w.write(v.body(30))
			time.Sleep(50 * time.Millisecond) // a reset throws away what the server has not read
			end(w)
			eventually(t, 30*time.Second, "the 30 bytes that came are kept", func() bool {
				_, offset := head(t, v.url(), http.StatusOK)
				return offset == 40
			})
			v.survives(declared)
		})
	}
}

func TestUnknownDeletedAndExpiredUploadsAreDistinguished(t *testing.T) {
	t.Parallel()
	s := start(t, "--sweep-interval", "100ms")
	content := NewContent(9, 100)
	put(t, newClient(s, "deleted", content), ranges.Of(0, 10), http.StatusAccepted)
	remove(t, s, "deleted")
	put(t, newClient(s, "expired", content), ranges.Of(0, 10), http.StatusAccepted)
	s.Args = append(s.Args, "--expire-after", "500ms")
	restart(t, s)
	time.Sleep(time.Second)
	for id, want := range map[string]int{"unknown": 404, "deleted": 410, "expired": 410} {
		// tus-java-client starts over only on 404.
		tusWant := map[string]int{"tus GET": 404, "tus HEAD": 404, "PATCH": 404}
		requests := map[string]func() *http.Request{
			"GET":      func() *http.Request { return request(t, "GET", s.URL(id), nil) },
			"HEAD":     func() *http.Request { return request(t, "HEAD", s.URL(id), nil) },
			"tus GET":  func() *http.Request { return request(t, "GET", s.URL(id), nil, tusVersion) },
			"tus HEAD": func() *http.Request { return request(t, "HEAD", s.URL(id), nil, tusVersion) },
			"DELETE":   func() *http.Request { return request(t, "DELETE", s.URL(id), nil) },
			"tus DELETE": func() *http.Request {
				return request(t, "DELETE", s.URL(id), nil, tusVersion)
			},
			"PATCH": func() *http.Request {
				return patchRequest(t.Context(), s.URL(id), content, ranges.Of(10, 10))
			},
			"status": func() *http.Request {
				return request(t, "PUT", s.URL(id), nil, "Content-Range: bytes */100")
			},
		}
		for name, make := range requests {
			t.Run(id+" "+name, func(t *testing.T) {
				answer, err := Do(http.DefaultClient, make())
				if err != nil {
					t.Fatal(err)
				}
				demand(t, answer, cmp.Or(tusWant[name], want))
			})
		}
	}
	put(t, newClient(s, "deleted", content), ranges.Of(10, 10), http.StatusGone)
	put(t, newClient(s, "expired", content), ranges.Of(10, 10), http.StatusGone)
	wantNothingOf(t, s, "expired")
}

func TestTusChecksumsAreVerified(t *testing.T) {
	t.Parallel()
	s := start(t)
	url := createTus(t, s, 5)
	ask(t, http.MethodPatch, url, strings.NewReader("hallo"), []string{tusVersion, offsetBytes, "Upload-Offset: 0",
		"Upload-Checksum: sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00="}, 460) // that of "hello"
	if _, offset := head(t, url, http.StatusOK); offset != 0 {
		t.Errorf("%d bytes count that failed their checksum", offset)
	}
	ask(t, http.MethodPatch, url, strings.NewReader("hello"), []string{tusVersion, offsetBytes, "Upload-Offset: 0",
		"Upload-Checksum: sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00="}, http.StatusNoContent)
	file := ask(t, http.MethodGet, url, nil, nil, http.StatusOK).Body
	if string(file) != "hello" {
		t.Errorf("the file is %q", file)
	}
}
