package api

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
)

// hastyServer sends the header of its response at once, and the rest some time after it, as
// Ceph RGW does with DeleteObjects.
func hastyServer(t *testing.T) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answerHastily(conn)
		}
	}()
	return listener.Addr().String()
}

func answerHastily(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		const text = "<DeleteResult></DeleteResult>"
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n", len(text))
		time.Sleep(100 * time.Millisecond) // until the client knows that it has sent all
		fmt.Fprint(conn, text)
	}
}

// slowConn returns from the Write of the last byte of a body only when S3 has begun to respond.
type slowConn struct {
	net.Conn
	sent *bytes.Buffer
}

// Write implements net.Conn.
func (c slowConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sent.Write(p)
	if bytes.HasSuffix(c.sent.Bytes(), []byte("</Delete>")) {
		time.Sleep(50 * time.Millisecond)
	}
	return n, err
}

// A server that begins to respond before the connection knows that it has sent the body,
// which the SDK has closed by then, breaks no request.
func TestAnEarlyResponseBreaksNoConnection(t *testing.T) {
	transport := &http.Transport{WriteBufferSize: 1, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return slowConn{conn, new(bytes.Buffer)}, err
	}}
	t.Cleanup(transport.CloseIdleConnections)
	var broken atomic.Int32
	counted := roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := transport.RoundTrip(r)
		if err != nil {
			broken.Add(1)
			return nil, err
		}
		resp.Body = &watchedBody{resp.Body, &broken}
		return resp, nil
	})
	bucket := "bucket"
	c := &Client{Can: AllAbilities, bucket: &bucket, sdk: awss3.New(awss3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://" + hastyServer(t)), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), HTTPClient: sender{plainBody{counted}},
	})}
	for range 5 {
		if err := c.Remove(t.Context(), "one", "two"); err != nil {
			t.Error(err)
		}
	}
	if n := broken.Load(); n > 0 {
		t.Errorf("%d requests were broken", n)
	}
}

// watchedBody counts the reads that fail.
type watchedBody struct {
	io.ReadCloser
	broken *atomic.Int32
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.broken.Add(1)
	}
	return n, err
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
