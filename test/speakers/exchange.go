package speakers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// files is the path below which uploads are.
const files = "/files/"

// answer is a response that was read.
type answer struct {
	request string // for messages
	status  int
	header  http.Header
	body    []byte
}

// do sends a request to the next node. Fields are "Name: value"; empty ones are left out.
func (c *Client) do(method, path string, body []byte, fields ...string) (answer, error) {
	req, err := http.NewRequest(method, "http://"+c.node()+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if c.Body != nil && len(body) > 0 {
		req.Body, req.GetBody = io.NopCloser(c.Body(req.Body)), nil // as long as before
	}
	for _, field := range fields {
		if name, value, _ := strings.Cut(field, ": "); field != "" {
			req.Header.Set(name, value)
		}
	}
	a := answer{request: method + " " + path + " " + fmt.Sprint(fields)}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	a.status, a.header = resp.StatusCode, resp.Header
	if a.body, err = io.ReadAll(resp.Body); err != nil {
		return a, fmt.Errorf("%s: %w", a.request, err)
	}
	return a, nil
}

// unlike returns an error for an answer that is not as specified.
func (a answer) unlike(want string) error {
	return fmt.Errorf("%s: %d %v %s: want %s", a.request, a.status, a.header, a.body, want)
}

// demand returns an error unless the answer has one of the statuses.
func (a answer) demand(statuses ...int) error {
	if slices.Contains(statuses, a.status) {
		return nil
	}
	return a.unlike(fmt.Sprint(statuses))
}

// demandFields returns an error unless the answer has the fields, each "Name: value". An
// empty value is that of a field that must be absent.
func (a answer) demandFields(fields ...string) error {
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		if a.header.Get(name) != value {
			return a.unlike(field)
		}
	}
	return nil
}

// number returns the value of a field, Unknown if it is absent or no number of bytes.
func (a answer) number(field string) int64 {
	n, err := strconv.ParseInt(a.header.Get(field), 10, 64)
	if err != nil || n < 0 {
		return Unknown
	}
	return n
}

// json reads the JSON of the answer into v.
func (a answer) json(v any) error {
	if !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		return a.unlike("JSON")
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		return a.unlike("valid JSON")
	}
	return nil
}

// location returns the id and the query of the URL of an upload in a response, which must be absolute.
func (a answer) location(text string) (id, query string, _ error) {
	at, err := url.Parse(text)
	if err != nil || at.Host == "" || !strings.HasPrefix(at.Path, files) {
		return "", "", a.unlike("the URL of an upload, and not " + text)
	}
	return strings.TrimPrefix(at.Path, files), at.RawQuery, nil
}

// contentRange returns the Content-Range of a chunk; sized reports whether it has the size.
func contentRange(chunk Chunk, sized bool) string {
	span, total := "*", "*"
	if len(chunk.Body) > 0 {
		span = fmt.Sprintf("%d-%d", chunk.Offset, chunk.end()-1)
	}
	if sized {
		total = strconv.FormatInt(chunk.Total, 10)
	}
	return "Content-Range: bytes " + span + "/" + total
}

// prefix returns the offset after the range in a Range field, 0 if there is none.
func (a answer) prefix() (int64, error) {
	text := a.header.Get("Range")
	if text == "" {
		return 0, nil
	}
	var last int64
	if _, err := fmt.Sscanf(text, "bytes=0-%d", &last); err != nil || text != fmt.Sprintf("bytes=0-%d", last) {
		return 0, a.unlike("Range: bytes=0-k")
	}
	return last + 1, nil
}
