package test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
)

var ietfFields = []ietfStatement{
	{"F1", "an offset that is no non-negative integer counts as none", func(c *ietfClient) {
		url := c.create("", false)
		for _, value := range []string{"abc", "-1", "1.0", `"0"`, "0, 0", "9999999999999999", ""} {
			answer, _ := c.send("PATCH", url, strings.NewReader("x"), "Upload-Offset: "+value, c.completeness(false), "Content-Type: application/partial-upload")
			demand(c.T, answer, 400)
		}
		c.wantState("after them", c.state(url), 0, false)
	}},
	{"F2", "an upload whose state is gone is refused", func(c *ietfClient) {
		url := c.create("abcde", false)
		demand(c.T, ask(c.T, "DELETE", url, nil, nil, 204), 204)
		demand(c.T, c.append(url, 5, "x", true), c.inactive)
		answer, _ := c.send("HEAD", url, nil)
		if c.number != 0 && answer.Status != c.inactive {
			c.Errorf("HEAD: %d", answer.Status)
		}
	}},
	{"F4", "a completeness that is no boolean makes an ordinary request", func(c *ietfClient) {
		for _, value := range []string{"1", "true", "?2", "?1, ?1", `"?1"`} {
			answer, informed := c.send("POST", c.s.URL(""), strings.NewReader("abcde"), "Upload-Complete: "+value)
			if len(informed) > 0 || answer.Header.Get("Upload-Complete")+answer.Header.Get("Upload-Incomplete") != "" {
				c.Errorf("%s: %v %v", value, informed, answer.Header)
			}
			if c.number == 0 { // an ordinary POST is not known here
				demand(c.T, answer, 412)
				continue
			}
			demand(c.T, answer, 201)
			c.wantContent(answer.Header.Get("Location"), "abcde")
		}
	}},
	{"F4", "parameters of a field are ignored", func(c *ietfClient) {
		url := c.create("ab", false)
		answer, _ := c.send("PATCH", url, strings.NewReader("cde"), "Upload-Offset: 2;a=b", c.completeness(true)+"; x", "Content-Type: application/partial-upload; a=b")
		demand(c.T, answer, 201)
		c.wantContent(url, "abcde")
	}},
	{"F5", "an upload is complete when a request that completes it was processed", func(c *ietfClient) {
		url := c.create("abcde", false)
		c.wantState("before", c.state(url), 5, false)
		answer := c.append(url, 5, "", true)
		demand(c.T, answer, 201)
		c.wantState("empty append", answer, 5, true)
		c.wantState("after", c.state(url), 5, true)
		c.wantContent(url, "abcde")
	}},
	{"F7", "a length that is no non-negative integer counts as none", func(c *ietfClient) {
		for _, value := range []string{"-5", "abc", "5.0"} {
			url := c.create("ab", false, "Upload-Length: "+value)
			c.wantFields("HEAD", c.state(url).Header, "Upload-Length: ")
			demand(c.T, c.append(url, 2, "cde", true), 201)
		}
	}},
	{"F8", "two lengths in one request must agree", func(c *ietfClient) {
		answer, _ := c.send("POST", c.s.URL(""), strings.NewReader("abcde"), c.completeness(true), "Upload-Length: 6")
		c.wantInconsistent(answer)
		url := c.create("ab", false)
		c.wantInconsistent(c.append(url, 2, "cde", true, "Upload-Length: 6"))
		demand(c.T, c.append(url, 2, "cde", true, "Upload-Length: 5"), 201)
	}},
	{"F8", "lengths of several requests must agree", func(c *ietfClient) {
		url := c.create("ab", false, "Upload-Length: 5")
		c.wantInconsistent(c.append(url, 2, "c", true))
		c.wantInconsistent(c.append(url, 2, "cde", true, "Upload-Length: 6"))
		c.wantState("after them", c.state(url), 2, false)
		demand(c.T, c.append(url, 2, "cde", true), 201)
	}},
	{"F9", "the length is recorded from either source", func(c *ietfClient) {
		byLength := c.create("ab", false, "Upload-Length: 5")
		c.wantFields("HEAD", c.state(byLength).Header, "Upload-Length: 5")
		onAppend := c.create("ab", false)
		demand(c.T, c.append(onAppend, 2, "c", false, "Upload-Length: 5"), c.incomplete)
		c.wantFields("HEAD", c.state(onAppend).Header, "Upload-Length: 5")
		byContent := c.create("abcde", true)
		c.wantFields("HEAD", c.state(byContent).Header, "Upload-Length: 5")
	}},
}

// wantInconsistent demands the problem of lengths that differ.
func (c *ietfClient) wantInconsistent(a Answer) {
	c.Helper()
	demand(c.T, a, 400)
	c.wantFields("inconsistent lengths", a.Header, c.completeness(false), "Content-Type: application/problem+json")
	if problemOf(a) != "inconsistent-upload-length" {
		c.Errorf("problem: %s", a.Body)
	}
}

var ietfCreation = []ietfStatement{
	{"C1", "any method with content creates", func(c *ietfClient) {
		for _, method := range []string{"POST", "PUT"} {
			url := c.s.URL(fmt.Sprintf("chosen-%s-%d", strings.ToLower(method), c.number))
			answer, _ := c.send(method, url, strings.NewReader("ab"), c.completeness(false))
			demand(c.T, answer, 201)
			c.wantFields(method, answer.Header, "Location: "+url)
			demand(c.T, c.append(url, 2, "cde", true), 201)
			c.wantContent(url, "abcde")
		}
	}},
	{"C5", "a file in one request is answered as a plain PUT of it is", func(c *ietfClient) {
		plain := ask(c.T, "PUT", c.s.URL(fmt.Sprintf("plain-%d", c.number)), strings.NewReader("abcde"), []string{"Content-Type: text/plain"}, 201)
		answer, _ := c.send("POST", c.s.URL(""), strings.NewReader("abcde"), c.completeness(true), "Content-Type: text/plain")
		demand(c.T, answer, plain.Status)
		c.wantState("creation", answer, 5, true)
		got, want := []byte(answer.Header.Get("Content-Type")), []byte(plain.Header.Get("Content-Type"))
		got, want = append(got, answer.Body...), append(want, plain.Body...)
		ids := regexp.MustCompile(`"(id|name)":"[^"]*"`)
		if g, w := ids.ReplaceAllString(string(got), ""), ids.ReplaceAllString(string(want), ""); g != w || answer.State.ID == "" {
			c.Errorf("%s, want %s", got, want)
		}
		c.wantContent(answer.Header.Get("Location"), "abcde")
	}},
	{"C6", "a part is answered with the URL and the limits", func(c *ietfClient) {
		answer, _ := c.send("POST", c.s.URL(""), strings.NewReader("ab"), c.completeness(false))
		demand(c.T, answer, 201)
		c.wantState("creation", answer, 2, false)
		if !strings.HasPrefix(answer.Header.Get("Location"), c.s.URL("")) {
			c.Errorf("Location: %q", answer.Header.Get("Location"))
		}
		c.wantLimits("creation", answer.Header)
	}},
	{"C10", "an interrupted creation keeps what came, and is not complete", func(c *ietfClient) {
		url := c.s.URL(fmt.Sprintf("cut-%d", c.number))
		w := dial(c.T, c.s.Addr)
		w.send("PUT /files/"+idOf(url)+" HTTP/1.1", "Host: "+c.s.Addr, c.versionField(), c.completeness(true), "Content-Length: 5")
		w.write("abc")
		_ = w.conn.Close()
		c.reaches(url, 3)
		answer := c.state(url)
		c.wantState("after the break", answer, 3, false)
		c.wantFields("after the break", answer.Header, "Upload-Length: 5")
		demand(c.T, c.append(url, 3, "de", true), 201)
		c.wantContent(url, "abcde")
	}},
	{"C10", "content of unknown length that breaks off is not complete", func(c *ietfClient) {
		url := c.s.URL(fmt.Sprintf("cut-chunked-%d", c.number))
		w := dial(c.T, c.s.Addr)
		w.send("PUT /files/"+idOf(url)+" HTTP/1.1", "Host: "+c.s.Addr, c.versionField(), c.completeness(true), "Transfer-Encoding: chunked")
		w.write(chunked("abc"))
		_ = w.conn.Close()
		c.reaches(url, 3)
		c.wantState("after the break", c.state(url), 3, false)
		demand(c.T, c.append(url, 3, "de", true), 201)
		c.wantContent(url, "abcde")
	}},
	{"C11", "empty content is valid", func(c *ietfClient) {
		answer, _ := c.send("POST", c.s.URL(""), nil, c.completeness(true))
		demand(c.T, answer, 201)
		c.wantState("an empty file", answer, 0, true)
		c.wantContent(answer.Header.Get("Location"), "")
		url := c.create("", false)
		c.wantState("a URL alone", c.state(url), 0, false)
	}},
	{"C12", "type and name of the file are kept, and safe", func(c *ietfClient) {
		url := c.create("abcde", true, "Content-Type: video/mp4", `Content-Disposition: inline; filename="a b.mp4"`)
		h := ask(c.T, "GET", url, nil, nil, 200).Header
		c.wantFields("GET", h, "Content-Type: video/mp4", `Content-Disposition: attachment; filename="a b.mp4"`)
		byPart := c.create("abcde", true, "Content-Type: application/partial-upload", "Upload-Metadata: filename "+base64Of("c.txt"))
		h = ask(c.T, "GET", byPart, nil, nil, 200).Header
		c.wantFields("GET", h, "Content-Type: application/octet-stream", "Content-Disposition: attachment; filename=c.txt")
		answer, _ := c.send("POST", c.s.URL(""), nil, c.completeness(false), "Upload-Metadata: filename ***")
		demand(c.T, answer, 400)
	}},
	{"C", "content of unknown length is taken", func(c *ietfClient) {
		answer, _ := c.send("POST", c.s.URL(""), chunkedBody("abcde"), c.completeness(true))
		demand(c.T, answer, 201)
		c.wantState("creation", answer, 5, true)
		c.wantContent(answer.Header.Get("Location"), "abcde")
	}},
	{"C", "a known length that is reached completes", func(c *ietfClient) {
		url := c.create("ab", false, "Upload-Length: 5")
		answer := c.append(url, 2, "cde", false)
		demand(c.T, answer, 201)
		c.wantState("append", answer, 5, true)
		c.wantContent(url, "abcde")
	}},
	{"C", "the same file sent again to its URL gets the same answer, another is refused", func(c *ietfClient) {
		url := c.s.URL(fmt.Sprintf("again-%d", c.number))
		for range 2 {
			answer, _ := c.send("PUT", url, strings.NewReader("abcde"), c.completeness(true))
			demand(c.T, answer, 201)
			c.wantState("creation", answer, 5, true)
		}
		for _, other := range []io.Reader{strings.NewReader("abxde"), strings.NewReader("abcde again"), chunkedBody("abcd")} {
			answer, _ := c.send("PUT", url, other, c.completeness(true))
			demand(c.T, answer, 409, 400)
		}
		c.wantContent(url, "abcde")
	}},
	{"S", "forms and coded content are refused, URLs cannot be guessed", func(c *ietfClient) {
		for _, field := range []string{"Content-Type: multipart/form-data; boundary=x", "Content-Encoding: gzip"} {
			answer, informed := c.send("POST", c.s.URL(""), strings.NewReader("x"), c.completeness(true), field)
			demand(c.T, answer, 415)
			if len(informed) > 0 {
				c.Errorf("%s was announced", field)
			}
		}
		if id := idOf(c.create("", false)); len(id) < 26 {
			c.Errorf("id: %s", id)
		}
	}},
}

// reaches waits until an upload has so many bytes, without disturbing it.
func (c *ietfClient) reaches(url string, offset int64) {
	c.Helper()
	eventually(c.T, 30*time.Second, fmt.Sprintf("%s has %d bytes", url, offset), func() bool {
		answer, err := Do(http.DefaultClient, request(c.T, http.MethodGet, url, nil, "Accept: application/json"))
		return err == nil && answer.Status == http.StatusOK && answer.State.Offset == offset
	})
}

// versionField is the version as a line of a request.
func (c *ietfClient) versionField() string {
	if c.number == 0 {
		return "X-No: version"
	}
	return fmt.Sprintf("Upload-Draft-Interop-Version: %d", c.number)
}
