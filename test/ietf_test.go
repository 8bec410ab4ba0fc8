package test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// ietfVersion is what a client of an interop version of the IETF draft has to expect, after
// the text of that version.
type ietfVersion struct {
	number       int    // 0 for a client that sends none, and gets the newest rules
	inverted     bool   // Upload-Incomplete in place of Upload-Complete
	incomplete   int    // status of an append after which bytes are missing
	lifetime     string // key in Upload-Limit, "" if there is no Upload-Limit
	strict       bool   // HEAD and DELETE with the fields of an append are 400
	partialType  bool   // a PATCH must be application/partial-upload
	mustComplete bool   // a PATCH must have Upload-Complete
	progress     bool   // 104 with Upload-Offset
	inactive     int    // status of an upload that is gone
	invalidates  bool   // content beyond the length ends the upload
}

var ietfVersions = []ietfVersion{
	{number: 3, inverted: true, incomplete: 201, strict: true, inactive: 404},
	{number: 4, incomplete: 201, strict: true, inactive: 404},
	{number: 5, incomplete: 201, strict: true, progress: true, inactive: 404},
	{number: 6, incomplete: 201, strict: true, progress: true, partialType: true, lifetime: "expires", inactive: 404},
	{number: 7, incomplete: 204, progress: true, partialType: true, mustComplete: true, lifetime: "max-age", inactive: 410},
	{number: 8, incomplete: 204, progress: true, partialType: true, mustComplete: true, lifetime: "max-age", inactive: 410, invalidates: true},
	{number: 9, incomplete: 204, progress: true, partialType: true, mustComplete: true, lifetime: "max-age", inactive: 410, invalidates: true},
	{number: 10, incomplete: 204, progress: true, partialType: true, mustComplete: true, lifetime: "max-age", inactive: 410, invalidates: true},
	{number: 0, incomplete: 204, mustComplete: true, lifetime: "max-age", inactive: 410, invalidates: true},
}

func (v ietfVersion) String() string {
	if v.number == 0 {
		return "no version"
	}
	return fmt.Sprintf("interop %d", v.number)
}

// completeness is the field that says whether the upload is complete.
func (v ietfVersion) completeness(complete bool) string {
	name, is := "Upload-Complete", complete
	if v.inverted {
		name, is = "Upload-Incomplete", !complete
	}
	return name + ": " + map[bool]string{true: "?1", false: "?0"}[is]
}

// ietfClient is a client of one version.
type ietfClient struct {
	*testing.T
	ietfVersion
	s    *Server
	http *http.Client
}

// interim is an answer before the final one.
type interim struct {
	code   int
	header http.Header
}

// send makes a request with the version of the client.
func (c *ietfClient) send(method, url string, body io.Reader, fields ...string) (Answer, []interim) {
	c.Helper()
	answer, informed, err := c.try(c.Context(), method, url, body, fields...)
	if err != nil {
		c.Fatalf("%s %s: %v", method, url, err)
	}
	return answer, informed
}

func (c *ietfClient) try(ctx context.Context, method, url string, body io.Reader, fields ...string) (Answer, []interim, error) {
	var informed []interim
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		informed = append(informed, interim{code, http.Header(h)})
		return nil
	}})
	req := request(c.T, method, url, body).WithContext(ctx)
	for _, f := range fields {
		setField(req.Header, f)
	}
	if c.number != 0 {
		req.Header.Set("Upload-Draft-Interop-Version", strconv.Itoa(c.number))
	}
	answer, err := Do(c.http, req)
	return answer, informed, err
}

// setField sets a header field given as "Name: value".
func setField(h http.Header, field string) {
	name, value, _ := strings.Cut(field, ": ")
	h.Set(name, value)
}

// create creates an upload with some content, and returns its URL.
func (c *ietfClient) create(content string, complete bool, fields ...string) (url string) {
	c.Helper()
	answer, _ := c.send(http.MethodPost, c.s.URL(""), strings.NewReader(content), append(fields, c.completeness(complete))...)
	demand(c.T, answer, http.StatusCreated)
	return answer.Header.Get("Location")
}

// append sends content by PATCH.
func (c *ietfClient) append(url string, offset int, content string, complete bool, fields ...string) Answer {
	c.Helper()
	answer, _ := c.send(http.MethodPatch, url, strings.NewReader(content), c.appendFields(offset, complete, fields...)...)
	return answer
}

func (c *ietfClient) appendFields(offset int, complete bool, fields ...string) []string {
	return append(fields, fmt.Sprintf("Upload-Offset: %d", offset), c.completeness(complete), "Content-Type: application/partial-upload")
}

// state asks for the offset.
func (c *ietfClient) state(url string) Answer {
	c.Helper()
	answer, _ := c.send(http.MethodHead, url, nil)
	if answer.Status != http.StatusNoContent && (c.number != 0 || answer.Status != http.StatusOK) {
		c.Fatalf("HEAD: status %d", answer.Status)
	}
	return answer
}

// wantFields demands fields of an answer, "" for one that must not be there.
func (c *ietfClient) wantFields(what string, h http.Header, fields ...string) {
	c.Helper()
	for _, field := range fields {
		name, want, _ := strings.Cut(field, ": ")
		if got := h.Get(name); got != want {
			c.Errorf("%s: %s: %q, want %q", what, name, got, want)
		}
	}
}

// wantState demands an offset and completeness.
func (c *ietfClient) wantState(what string, a Answer, offset int, complete bool) {
	c.Helper()
	c.wantFields(what, a.Header, fmt.Sprintf("Upload-Offset: %d", offset), c.completeness(complete))
	if c.number != 0 {
		c.wantFields(what, a.Header, fmt.Sprintf("Upload-Draft-Interop-Version: %d", c.number))
	}
}

// wantContent demands that the upload is finished with the content.
func (c *ietfClient) wantContent(url, content string) {
	c.Helper()
	answer, err := Do(http.DefaultClient, request(c.T, http.MethodGet, url, nil))
	if err != nil || answer.Status != http.StatusOK || string(answer.Body) != content {
		c.Errorf("the file: status %d, %q, %v; want %q", answer.Status, answer.Body, err, content)
	}
}

// chunkedBody hides the length of a body.
func chunkedBody(content string) io.Reader { return io.MultiReader(strings.NewReader(content)) }

// ietfStatement is a row of the tests: a statement of the draft that can be tested.
type ietfStatement struct {
	id, says string
	holds    func(c *ietfClient)
}

// The statements are those of the draft's sections; versions differ in what they expect.
func TestIETFStatementsHoldInEveryVersion(t *testing.T) {
	t.Parallel()
	s := start(t, "--max-size", "1000000", "--expire-after", "10h")
	rows := slices.Concat(ietfFields, ietfLimits, ietfCreation, ietfInterim, ietfRetrieval, ietfAppend, ietfCancellation, ietfDigests)
	for _, v := range ietfVersions {
		for _, row := range rows {
			t.Run(v.String()+"/"+row.id+" "+row.says, func(t *testing.T) {
				t.Parallel()
				row.holds(&ietfClient{t, v, s, http.DefaultClient})
			})
		}
	}
}

// problemOf is the type in the details of a problem.
func problemOf(a Answer) string {
	_, after, _ := bytes.Cut(a.Body, []byte(`"type":"https://iana.org/assignments/http-problem-types#`))
	name, _, _ := bytes.Cut(after, []byte(`"`))
	return string(name)
}
