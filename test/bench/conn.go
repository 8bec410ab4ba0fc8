package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/holdfast-upload/holdfast/test"
)

// conn is a client that costs next to nothing: bodies go from one block of memory
// to the kernel, without a copy on the way.
type conn struct {
	net.Conn
	in *bufio.Reader
}

func dial(addr string) (*conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReader(c)}, nil
}

// create makes an upload and returns its path.
func (c *conn) create(size int64) (string, error) {
	if _, err := fmt.Fprintf(c, "POST /files/ HTTP/1.1\r\nHost: %s\r\nTus-Resumable: 1.0.0\r\nUpload-Length: %d\r\nContent-Length: 0\r\n\r\n",
		c.RemoteAddr(), size); err != nil {
		return "", err
	}
	resp, err := c.answer(http.MethodPost, http.StatusCreated)
	if err != nil {
		return "", err
	}
	at, err := url.Parse(resp.Header.Get("Location"))
	return at.Path, err
}

// patch sends n bytes, which stand at offset in a file of nothing but blocks.
func (c *conn) patch(path string, offset, n int64) error {
	head := fmt.Appendf(nil, "PATCH %s HTTP/1.1\r\nHost: %s\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: %d\r\n"+
		"Content-Type: application/offset+octet-stream\r\nContent-Length: %d\r\n\r\n", path, c.RemoteAddr(), offset, n)
	for end := offset + n; offset < end; {
		at := offset % int64(len(block))
		piece := block[at:min(int64(len(block)), at+end-offset)]
		buffers := net.Buffers{head, piece}
		if _, err := buffers.WriteTo(c); err != nil {
			return err
		}
		offset += int64(len(piece))
		head = nil
	}
	_, err := c.answer(http.MethodPatch, http.StatusNoContent)
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

// answer reads an answer, of which the body does not matter.
func (c *conn) answer(method string, want int) (*http.Response, error) {
	resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s: %s: %s", method, resp.Status, body)
	}
	return resp, err
}
