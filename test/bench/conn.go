package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/test"
)

// conn is a client that costs next to nothing: bodies go from one block of memory
// to the kernel, without a copy on the way.
type conn struct {
	net.Conn
	in   *bufio.Reader
	pace float64 // bytes per second, 0 for as fast as can be
}

func dial(addr string) (*conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, in: bufio.NewReader(c)}, nil
}

// create makes an upload and returns its path. Header are further lines of the
// request's head, such as its Upload-Length. It tries again while the server asks
// for that: the S3 server sometimes refuses to make two keys at once.
func (c *conn) create(header ...string) (string, error) {
	head := fmt.Sprintf("POST /files/ HTTP/1.1\r\nHost: %s\r\nTus-Resumable: 1.0.0\r\n%s\r\nContent-Length: 0\r\n\r\n",
		c.RemoteAddr(), strings.Join(header, "\r\n"))
	for tries := 0; ; tries++ {
		if _, err := io.WriteString(c, head); err != nil {
			return "", err
		}
		resp, err := c.answer(http.MethodPost, http.StatusCreated)
		if resp != nil && resp.StatusCode >= http.StatusInternalServerError && tries < 10 {
			continue
		}
		if err != nil {
			return "", err
		}
		at, err := url.Parse(resp.Header.Get("Location"))
		return at.Path, err
	}
}

// uploadLength declares the size of an upload.
func uploadLength(n int64) string { return fmt.Sprint("Upload-Length: ", n) }

// patch sends n bytes, which stand at offset in a file of nothing but blocks, by tus.
func (c *conn) patch(path string, offset, n int64) error {
	head := fmt.Appendf(nil, "PATCH %s HTTP/1.1\r\nHost: %s\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: %d\r\n"+
		"Content-Type: application/offset+octet-stream\r\nContent-Length: %d\r\n\r\n", path, c.RemoteAddr(), offset, n)
	return c.send(head, http.MethodPatch, http.StatusNoContent, offset, n)
}

// put sends n bytes at offset in a file of the given size, with a Content-Range.
func (c *conn) put(path string, offset, n, size int64) error {
	head := fmt.Appendf(nil, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Range: bytes %d-%d/%d\r\nContent-Length: %d\r\n\r\n",
		path, c.RemoteAddr(), offset, offset+n-1, size, n)
	return c.send(head, http.MethodPut, 0, offset, n)
}

// piece is how much a client with a pace sends at once.
const piece = 32 << 10

// send sends a head and a body, at the client's pace if it has one, and reads the
// answer.
func (c *conn) send(head []byte, method string, want int, offset, n int64) error {
	began, first := time.Now(), offset
	for end := offset + n; offset < end; {
		at := offset % int64(len(block))
		most := int64(len(block)) - at
		if c.pace > 0 {
			most = min(most, piece)
			time.Sleep(time.Until(began.Add(time.Duration(float64(offset-first) / c.pace * float64(time.Second)))))
		}
		body := block[at : at+min(most, end-offset)]
		buffers := net.Buffers{head, body}
		if _, err := buffers.WriteTo(c); err != nil {
			return err
		}
		offset += int64(len(body))
		head = nil
	}
	_, err := c.answer(method, want)
	return err
}

// sum downloads a file and returns its SHA-256 and length.
func (c *conn) sum(path string) (string, int64, error) {
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, c.RemoteAddr()); err != nil {
		return "", 0, err
	}
	resp, err := http.ReadResponse(c.in, &http.Request{Method: http.MethodGet})
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", 0, fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return test.Sum(resp.Body)
}

// answer reads an answer, of which the body does not matter. It must have the wanted
// status, or be any success if that is 0.
func (c *conn) answer(method string, want int) (*http.Response, error) {
	resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want && (want != 0 || resp.StatusCode > 299) {
		err = fmt.Errorf("%s: %s: %s", method, resp.Status, body)
	}
	return resp, err
}
