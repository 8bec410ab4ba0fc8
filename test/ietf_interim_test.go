package test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// wireWait is how long something may take on a loaded machine.
const wireWait = 30 * time.Second

func sha256Of(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

var ietfInterim = []ietfStatement{
	{"C2", "a creation is announced before its content is read", func(c *ietfClient) {
		if c.number == 0 {
			return // C4
		}
		w := dial(c.T, c.s.Addr)
		w.send("POST /files/ HTTP/1.1", "Host: "+c.s.Addr, c.versionField(), c.completeness(true), "Content-Length: 5", "Origin: https://app.example")
		first := w.answer()
		if first.Status != 104 || len(first.Header.Values("Location")) != 1 {
			c.Fatalf("%d %v", first.Status, first.Header)
		}
		c.wantFields("104", first.Header, c.versionField())
		c.wantLimits("104", first.Header) // C3
		for name := range first.Header {  // nothing of the final answer
			if name != "Location" && name != "Upload-Limit" && name != "Upload-Draft-Interop-Version" {
				c.Errorf("104 has %s", name)
			}
		}
		w.write("abcde")
		final := w.answer()
		demand(c.T, final, 201)
		c.wantFields("final answer", final.Header, "Location: "+first.Header.Get("Location"), "Access-Control-Allow-Origin: *", "X-Content-Type-Options: nosniff") // C7
		c.wantContent(first.Header.Get("Location"), "abcde")
	}},
	{"C4", "no 104 without a version that is known, and to HTTP/1.0", func(c *ietfClient) {
		for _, version := range []string{"X-No: version", "Upload-Draft-Interop-Version: 2", "Upload-Draft-Interop-Version: 11", "Upload-Draft-Interop-Version: x"} {
			plain := &ietfClient{c.T, ietfVersions[len(ietfVersions)-1], c.s, c.http}
			answer, informed := plain.send("POST", c.s.URL(""), strings.NewReader("ab"), plain.completeness(false), version)
			demand(c.T, answer, 201)
			if len(informed) > 0 || answer.Header.Get("Upload-Draft-Interop-Version") != "" {
				c.Errorf("%s: %v %v", version, informed, answer.Header)
			}
			demand(c.T, plain.append(answer.Header.Get("Location"), 2, "cde", true, version), 201)
		}
		w := dial(c.T, c.s.Addr)
		w.send("POST /files/ HTTP/1.0", "Host: "+c.s.Addr, c.versionField(), c.completeness(true), "Content-Length: 5")
		w.write("abcde")
		demand(c.T, w.answer(), 201)
	}},
	{"C7", "the URL is the same in all answers to a creation", func(c *ietfClient) {
		answer, informed := c.send("POST", c.s.URL(""), strings.NewReader("ab"), c.completeness(false))
		for _, i := range informed {
			c.wantFields("104", i.header, "Location: "+answer.Header.Get("Location"))
		}
		if c.number != 0 && len(informed) == 0 {
			c.Error("no 104")
		}
	}},
	{"C8", "progress is reported while a creation runs, the URL only once", func(c *ietfClient) {
		c.wantProgress("POST", "/files/", []string{c.completeness(true)}, 1)
	}},
	{"A8", "progress is reported while an append runs, without a URL", func(c *ietfClient) {
		url := c.create("", false)
		c.wantProgress("PATCH", "/files/"+idOf(url), c.appendFields(0, true), 0)
	}},
	{"100", "a client that waits for 100 gets it beside 104", func(c *ietfClient) {
		w := dial(c.T, c.s.Addr)
		w.send("POST /files/ HTTP/1.1", "Host: "+c.s.Addr, c.versionField(), c.completeness(true), "Content-Length: 5", "Expect: 100-continue")
		got := []int{w.answer().Status}
		if c.number != 0 {
			got = append(got, w.answer().Status)
		}
		if want := map[bool]string{true: "[104 100]", false: "[100]"}[c.number != 0]; fmt.Sprint(got) != want {
			c.Fatalf("%v, want %s", got, want)
		}
		w.write("abcde")
		demand(c.T, w.answer(), 201)
	}},
}

// wantProgress sends a file slowly until progress was reported, if the version has it, and
// demands that no more URLs than given are sent.
func (c *ietfClient) wantProgress(method, path string, fields []string, urls int) {
	c.Helper()
	const size = 900_000
	w := dial(c.T, c.s.Addr)
	w.send(append([]string{method + " " + path + " HTTP/1.1", "Host: " + c.s.Addr, c.versionField(), "Content-Length: " + strconv.Itoa(size)}, fields...)...)
	answers := make(chan Answer, 100)
	go func() {
		defer close(answers)
		for {
			resp, err := http.ReadResponse(w.in, nil)
			if err != nil {
				return
			}
			answers <- Answer{Status: resp.StatusCode, Header: resp.Header}
			if resp.StatusCode >= 200 {
				return
			}
		}
	}()
	sent, reported := 0, int64(0)
	for deadline := time.Now().Add(wireWait); c.number != 0 && c.progress && reported == 0 && time.Now().Before(deadline) && sent < size-1000; sent += 1000 {
		w.write(strings.Repeat("x", 1000))
		select {
		case a := <-answers:
			urls -= len(a.Header.Values("Location"))
			reported, _ = strconv.ParseInt(a.Header.Get("Upload-Offset"), 10, 64)
			if a.Status != 104 || reported > int64(sent+1000) {
				c.Errorf("%d %v after %d bytes", a.Status, a.Header, sent)
			}
		case <-time.After(30 * time.Millisecond):
		}
	}
	w.write(strings.Repeat("x", size-sent))
	for a := range answers {
		if a.Status == 104 {
			urls -= len(a.Header.Values("Location"))
		}
	}
	if c.number != 0 && (urls != 0 || (reported > 0) != c.progress) {
		c.Errorf("%d URLs too few, %d bytes reported", urls, reported)
	}
}

var ietfDigests = []ietfStatement{
	{"Content-Digest", "content that does not match is not appended", func(c *ietfClient) {
		url := c.create("ab", false)
		answer := c.append(url, 2, "cde", true, "Content-Digest: "+sha256Of("something else"))
		demand(c.T, answer, 400)
		c.wantFields("mismatch", answer.Header, c.completeness(false))
		c.wantState("after it", c.state(url), 2, false)
		demand(c.T, c.append(url, 2, "cde", true, "Content-Digest: "+sha256Of("cde")), 201)
		c.wantContent(url, "abcde")
	}},
	{"Content-Digest", "a creation is announced before its content is verified", func(c *ietfClient) {
		w := dial(c.T, c.s.Addr)
		w.send("POST /files/ HTTP/1.1", "Host: "+c.s.Addr, c.versionField(), c.completeness(true), "Content-Length: 5", "Content-Digest: "+sha256Of("abcde"))
		if c.number != 0 {
			if a := w.answer(); a.Status != 104 {
				c.Fatalf("status %d", a.Status)
			}
		}
		w.write("abcde")
		demand(c.T, w.answer(), 201)
	}},
	{"Repr-Digest", "a file that does not match is not complete", func(c *ietfClient) {
		answer, _ := c.send("POST", c.s.URL(""), strings.NewReader("abcde"), c.completeness(true), "Repr-Digest: "+sha256Of("abxde"))
		demand(c.T, answer, 400)
		c.wantFields("mismatch", answer.Header, c.completeness(true))
		if c.number != 0 {
			_, informed := c.send("POST", c.s.URL(""), strings.NewReader("abcde"), c.completeness(true), "Repr-Digest: "+sha256Of("abxde"))
			ask(c.T, "GET", informed[0].header.Get("Location"), nil, nil, 410)
		}
		answer, _ = c.send("POST", c.s.URL(""), strings.NewReader("abcde"), c.completeness(true), "Repr-Digest: "+sha256Of("abcde"))
		demand(c.T, answer, 201)
		answer, _ = c.send("POST", c.s.URL(""), nil, c.completeness(false), "Repr-Digest: sha-256=x")
		demand(c.T, answer, 400)
	}},
	{"Repr-Digest", "it is verified although the file arrives in parts", func(c *ietfClient) {
		for digest, want := range map[string]int{sha256Of("abcde"): 201, sha256Of("abxde"): 400} {
			url := c.create("ab", false, "Repr-Digest: "+digest)
			demand(c.T, c.append(url, 2, "c", false), c.incomplete)
			var last io.Reader = strings.NewReader("cde")
			if want == 400 {
				last = chunkedBody("cde")
			}
			answer, _ := c.send("PATCH", url, last, c.appendFields(2, true)...)
			demand(c.T, answer, want)
			if want == 201 {
				c.wantContent(url, "abcde")
			}
		}
	}},
	{"Repr-Digest", "a CRC32C of the file is verified by the request that completes it", func(c *ietfClient) {
		for digest, want := range map[string]int{"crc32c=:xFDWlw==:": 201, "crc32c=:xFDWlA==:": 400} {
			url := c.create("ab", false)
			answer := c.append(url, 2, "cde", true, "Repr-Digest: "+digest)
			demand(c.T, answer, want)
			c.wantFields(digest, answer.Header, c.completeness(true))
		}
	}},
	{"Want-Repr-Digest", "the digest of the file is given on request", func(c *ietfClient) {
		answer, _ := c.send("POST", c.s.URL(""), strings.NewReader("abcde"), c.completeness(true), "Want-Repr-Digest: crc32c=1")
		demand(c.T, answer, 201)
		c.wantFields("final answer", answer.Header, "Repr-Digest: crc32c=:xFDWlw==:")
	}},
}
