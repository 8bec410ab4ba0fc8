package test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

var ietfLimits = []ietfStatement{
	{"L2", "OPTIONS has the limits, never an empty value", func(c *ietfClient) {
		for _, url := range []string{c.s.URL(""), c.s.URL("chosen")} {
			answer, _ := c.send("OPTIONS", url, nil)
			demand(c.T, answer, 200)
			limit := answer.Header.Get("Upload-Limit")
			if !strings.Contains(limit, "min-size=0") || !strings.Contains(limit, "max-size=1000000") || !strings.Contains(limit, "max-age=36000") {
				c.Errorf("Upload-Limit: %q", limit)
			}
			c.wantFields("OPTIONS", answer.Header, "Accept-Patch: application/partial-upload") // L6
		}
	}},
	{"L3", "OPTIONS of the whole server has the limits", func(c *ietfClient) {
		w := dial(c.T, c.s.Addr)
		w.send("OPTIONS * HTTP/1.1", "Host: "+c.s.Addr, c.versionField())
		answer := w.answer()
		demand(c.T, answer, 200)
		if !strings.Contains(answer.Header.Get("Upload-Limit"), "max-size=1000000") {
			c.Errorf("%v", answer.Header)
		}
	}},
	{"L1", "limits do not become stricter", func(c *ietfClient) {
		url, before := c.create("", false), 0
		for n := range 3 {
			h := c.state(url).Header
			c.wantLimits("HEAD", h)
			if _, age, ok := strings.Cut(h.Get("Upload-Limit"), c.lifetime+"="); ok && c.lifetime != "" {
				left, err := strconv.Atoi(age)
				if err != nil || left < before-30 {
					c.Errorf("%s of %d after %d, %v", c.lifetime, left, before, err)
				}
				before = left
			}
			demand(c.T, c.append(url, n, "x", false), c.incomplete)
		}
	}},
	{"L5", "413 has the limits", func(c *ietfClient) {
		large := strings.Repeat("x", 1000001)
		for _, fields := range [][]string{{c.completeness(true)}, {c.completeness(false)}, {c.completeness(false), "Upload-Length: 1000001"}} {
			answer, _ := c.send("POST", c.s.URL(""), strings.NewReader(large), fields...)
			demand(c.T, answer, 413)
			c.wantLimits("413", answer.Header)
			answer, informed := c.send("POST", c.s.URL(""), chunkedBody(large), fields...)
			demand(c.T, answer, 413)
			c.wantLimits("413 of unknown length", answer.Header)
			if c.number != 0 && len(informed) == 0 && len(fields) == 1 {
				c.Error("content of unknown length was not announced")
			}
		}
	}},
}

// wantLimits demands Upload-Limit as the version has it.
func (c *ietfClient) wantLimits(what string, h http.Header) {
	c.Helper()
	got := h.Get("Upload-Limit")
	if c.lifetime == "" {
		if got != "" {
			c.Errorf("%s: Upload-Limit: %q", what, got)
		}
		return
	}
	if !strings.HasPrefix(got, "min-size=0, max-size=1000000") || what != "413" && !strings.Contains(got, ", "+c.lifetime+"=3") && !strings.HasPrefix(what, "413") {
		c.Errorf("%s: Upload-Limit: %q, want %s in it", what, got, c.lifetime)
	}
}

var ietfRetrieval = []ietfStatement{
	{"O1", "the answer has offset, completeness, limits and a known length", func(c *ietfClient) {
		for _, method := range []string{"HEAD", "GET"} { // O4
			url := c.create("ab", false, "Upload-Length: 5")
			answer, _ := c.send(method, url, nil)
			if answer.Status/100 != 2 || c.number != 0 && answer.Status != 204 {
				c.Errorf("%s: status %d", method, answer.Status)
			}
			c.wantState(method, Answer{Header: answer.Header}, 2, false)
			c.wantFields(method, answer.Header, "Upload-Length: 5", "Cache-Control: no-store") // O2
			c.wantLimits(method, answer.Header)
			unknown := c.create("ab", false)
			c.wantFields(method, c.state(unknown).Header, "Upload-Length: ")
		}
	}},
	{"O1", "of a complete upload too", func(c *ietfClient) {
		url := c.create("abcde", true)
		c.wantState("HEAD", c.state(url), 5, true)
		c.wantFields("HEAD", c.state(url).Header, "Upload-Length: 5")
	}},
	{"O3", "nothing is redirected", func(c *ietfClient) {
		url := c.create("ab", false)
		for _, method := range []string{"HEAD", "GET", "DELETE"} {
			answer, _ := c.send(method, url, nil)
			if answer.Status/100 != 2 {
				c.Errorf("%s: %d", method, answer.Status)
			}
		}
	}},
	{"O5", "the next append at the offset is taken", func(c *ietfClient) {
		url := c.create("ab", false)
		c.wantState("HEAD", c.state(url), 2, false)
		demand(c.T, c.append(url, 2, "cde", true), 201)
	}},
	{"O6", "HEAD and DELETE with the fields of an append are refused where the version says so", func(c *ietfClient) {
		url := c.create("ab", false)
		for _, field := range []string{"Upload-Offset: 0", c.completeness(true)} {
			for _, method := range []string{"HEAD", "DELETE"} {
				answer, _ := c.send(method, url, nil, field)
				if refused := answer.Status == 400; refused != c.strict {
					c.Errorf("%s with %s: %d", method, field, answer.Status)
				}
			}
		}
	}},
}

var ietfAppend = []ietfStatement{
	{"A1", "an append needs its fields and its type", func(c *ietfClient) {
		url := c.create("ab", false)
		partial, offset := "Content-Type: application/partial-upload", "Upload-Offset: 2"
		answer, _ := c.send("PATCH", url, strings.NewReader("c"), c.completeness(false), partial)
		demand(c.T, answer, 400)
		answer, _ = c.send("PATCH", url, strings.NewReader("c"), c.completeness(false), offset, "Content-Type: text/plain")
		want := map[bool]int{true: 415, false: c.incomplete}[c.partialType]
		demand(c.T, answer, want)
		url = c.create("ab", false)
		answer, _ = c.send("PATCH", url, strings.NewReader("cde"), offset, partial)
		switch {
		case c.number == 0:
			demand(c.T, answer, 412) // no request of this protocol
		case c.mustComplete:
			demand(c.T, answer, 400)
		default: // it is the last
			demand(c.T, answer, 201)
			c.wantContent(url, "abcde")
		}
	}},
	{"A2", "an offset that does not match is a conflict, with the offset that does", func(c *ietfClient) {
		url := c.create("ab", false)
		for _, complete := range []bool{false, true} {
			answer := c.append(url, 3, "de", complete)
			demand(c.T, answer, 409)
			c.wantState("conflict", answer, 2, false)
			if problemOf(answer) != "mismatching-upload-offset" || !strings.Contains(string(answer.Body), `"expected-offset":2,"provided-offset":3`) {
				c.Errorf("%s", answer.Body)
			}
		}
		demand(c.T, c.append(url, 2, "cde", true), 201)
		answer := c.append(url, 6, "", false)
		demand(c.T, answer, 409)
		c.wantState("conflict", answer, 5, false)
	}},
	{"A3", "the last append gets the response of the file", func(c *ietfClient) {
		url := c.create("ab", false)
		answer := c.append(url, 2, "cde", true)
		demand(c.T, answer, 201)
		c.wantState("append", answer, 5, true)
		if answer.State.ID != idOf(url) {
			c.Errorf("%s", answer.Body)
		}
	}},
	{"A4", "an append that does not complete is acknowledged", func(c *ietfClient) {
		url := c.create("ab", false)
		answer := c.append(url, 2, "c", false)
		demand(c.T, answer, c.incomplete)
		c.wantState("append", answer, 3, false) // A9
		c.wantState("after it", c.state(url), 3, false)
	}},
	{"A5", "content beyond the length is refused, and ends the upload where the version says so", func(c *ietfClient) {
		for _, chunked := range []bool{false, true} {
			url := c.create("ab", false, "Upload-Length: 5")
			answer := c.append(url, 2, "cde!", false)
			if chunked {
				url = c.create("ab", false, "Upload-Length: 5")
				answer, _ = c.send("PATCH", url, chunkedBody("cde!"), c.appendFields(2, false)...)
			}
			demand(c.T, answer, 400)
			answer, _ = c.send("HEAD", url, nil)
			if gone := answer.Status == c.inactive; gone != c.invalidates {
				c.Errorf("chunked %v: then %d", chunked, answer.Status)
			}
			if !c.invalidates {
				demand(c.T, c.append(url, 2, "cde", true), 201)
				c.wantContent(url, "abcde")
			}
		}
	}},
	{"A5", "content beyond the length does not harm a complete upload", func(c *ietfClient) {
		url := c.create("abcde", true)
		demand(c.T, c.append(url, 5, "!", false), 400)
		demand(c.T, c.append(url, 5, "!", true), 400)
		c.wantContent(url, "abcde")
	}},
	{"A6", "an interrupted append keeps what came, and is not complete", func(c *ietfClient) {
		url := c.create("ab", false)
		w := dial(c.T, c.s.Addr)
		w.send(append([]string{"PATCH /files/" + idOf(url) + " HTTP/1.1", "Host: " + c.s.Addr, c.versionField(), "Content-Length: 3"}, c.appendFields(2, true)...)...)
		w.write("c")
		_ = w.conn.Close()
		c.reaches(url, 3)
		c.wantState("after the break", c.state(url), 3, false)
		demand(c.T, c.append(url, 3, "de", true), 201)
		c.wantContent(url, "abcde")
	}},
	{"A7", "a lost final answer is given again", func(c *ietfClient) {
		url := c.create("ab", false)
		first := c.append(url, 2, "cde", true)
		for _, offset := range []int{2, 5, 0} {
			again := c.append(url, offset, "abcde"[offset:], true)
			demand(c.T, again, first.Status)
			c.wantState("replay", again, 5, true)
			if string(again.Body) != string(first.Body) {
				c.Errorf("%s, want %s", again.Body, first.Body)
			}
		}
	}},
	{"A", "an append that overlaps is taken, and the first bytes stay", func(c *ietfClient) {
		url := c.create("abcd", false)
		answer := c.append(url, 2, "xxe", true)
		demand(c.T, answer, 201)
		c.wantContent(url, "abcde")
	}},
	{"A", "an append to no upload is refused", func(c *ietfClient) {
		demand(c.T, c.append(c.s.URL("nothing-here"), 0, "x", true), 404)
	}},
	{"A", "content of unknown length is appended", func(c *ietfClient) {
		url := c.create("ab", false)
		answer, _ := c.send("PATCH", url, chunkedBody("cde"), c.appendFields(2, true)...)
		demand(c.T, answer, 201)
		c.wantContent(url, "abcde")
		short := c.create("ab", false, "Upload-Length: 6")
		answer, _ = c.send("PATCH", short, chunkedBody("cde"), c.appendFields(2, true)...)
		c.wantInconsistent(answer)
		c.wantState("after it", c.state(short), 5, false)
	}},
}

var ietfCancellation = []ietfStatement{
	{"D", "a cancelled upload is gone", func(c *ietfClient) {
		url := c.create("ab", false)
		answer, _ := c.send("DELETE", url, nil)
		demand(c.T, answer, 204)
		for _, method := range []string{"HEAD", "DELETE"} {
			answer, _ := c.send(method, url, nil)
			if answer.Status != c.inactive {
				c.Errorf("%s: %d, want %d", method, answer.Status, c.inactive)
			}
		}
		demand(c.T, c.append(url, 2, "cde", true), c.inactive)
	}},
	{"D", "it ends a request that runs", func(c *ietfClient) {
		if c.number == 0 {
			return // a DELETE of the Content-Range protocol, after which a write finds nothing to write to
		}
		w, url := c.begin("ab", "3")
		answer, _ := c.send("DELETE", url, nil)
		demand(c.T, answer, 204)
		w.wantBroken()
	}},
	{"R", "a query, an append and a creation of the same file end the request before", func(c *ietfClient) {
		for name, next := range map[string]func(url string){
			"HEAD": func(url string) {
				if c.number == 0 { // its HEAD only looks
					demand(c.T, c.append(url, 0, "", false), c.incomplete)
					return
				}
				offset, _ := strconv.Atoi(c.state(url).Header.Get("Upload-Offset"))
				demand(c.T, c.append(url, offset, "abcde"[offset:], true), 201)
			},
			"PATCH": func(url string) { demand(c.T, c.append(url, 0, "abcde", true), 201) },
			"PUT": func(url string) {
				answer, _ := c.send("PUT", url, strings.NewReader("abcde"), c.completeness(true))
				demand(c.T, answer, 201)
			},
		} {
			w, url := c.begin("ab", name)
			next(url)
			w.wantBroken()
		}
	}},
}

// begin creates an upload of 5 bytes and sends the first of them only.
func (c *ietfClient) begin(content, name string) (*wire, string) {
	c.Helper()
	url := c.s.URL(fmt.Sprintf("begun-%s-%d", name, c.number))
	w := dial(c.T, c.s.Addr)
	w.send("PUT /files/"+idOf(url)+" HTTP/1.1", "Host: "+c.s.Addr, c.versionField(), c.completeness(true), "Content-Length: 5")
	w.write(content)
	if c.number != 0 {
		if a := w.answer(); a.Status != 104 {
			c.Fatalf("status %d", a.Status)
		}
	}
	eventually(c.T, wireWait, url+" exists", func() bool {
		answer, err := Do(http.DefaultClient, request(c.T, http.MethodGet, url, nil))
		return err == nil && answer.Status == http.StatusOK
	})
	return w, url
}

// wantBroken demands that the connection ends, or that the client, which has not been
// announced that it may resume, is asked to come back.
func (w *wire) wantBroken() {
	w.t.Helper()
	for {
		resp, err := http.ReadResponse(w.in, nil)
		switch {
		case err != nil:
			return
		case resp.StatusCode == http.StatusServiceUnavailable:
			return
		case resp.StatusCode != 104:
			w.t.Errorf("status %d", resp.StatusCode)
			return
		}
	}
}
