package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/holdfast-upload/holdfast/test"
	"github.com/holdfast-upload/holdfast/test/ports"
	"github.com/holdfast-upload/holdfast/test/servers"
)

var s3Works = []work{
	{name: "1 GiB in 50 MiB PATCHes", files: 1, size: 1 << 30, patch: 50 << 20, clients: 1},
	{name: "1 GiB in one PATCH", files: 1, size: 1 << 30, patch: 1 << 30, clients: 1},
	{name: inParallel, files: 1, size: 1 << 30, parts: 4, clients: 1},
	{name: "the same by Content-Range", files: 1, size: 1 << 30, parts: 4, clients: 1, ranges: true, beside: inParallel},
	{name: "200 files of 100 KiB", files: 200, size: 100 << 10, patch: 100 << 10, clients: 4},
	{name: "200 clients at 1 MiB/s", files: 200, size: 8 << 20, patch: 8 << 20, clients: 200, pace: 1 << 20},
	{name: "1,000 clients at 100 KiB/s", files: 1000, size: 1500 << 10, patch: 1500 << 10, clients: 1000, pace: 100 << 10},
}

const inParallel = "1 GiB in 4 parts at once, concatenated"

var s3Contenders = []contender{{"holdfast", []string{}}, {peer, nil}}

const bucket = "bench"

// s3Server is a versitygw over an empty directory, with a bucket in it.
type s3Server struct {
	addr string
	dir  string
	cmd  *exec.Cmd
}

func startS3(dir string) (*s3Server, error) {
	addr, err := ports.Reserve()
	if err != nil {
		return nil, err
	}
	s := &s3Server{addr: addr, dir: dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	s.cmd = exec.Command("versitygw", "--port", s.addr, "--keep-alive", "--quiet", "posix", dir)
	s.cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+servers.AccessKey, "ROOT_SECRET_KEY="+servers.SecretKey)
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("an S3 server is needed, see make test: %w", err)
	}
	if err := s.makeBucket(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *s3Server) makeBucket() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client := s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://" + s.addr), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(servers.AccessKey, servers.SecretKey, ""),
	})
	for {
		_, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucket)})
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
}

func (s *s3Server) close() {
	_ = s.cmd.Process.Kill() // it has nothing to lose
	_ = s.cmd.Wait()
	_ = os.RemoveAll(s.dir)
}

// measureS3 is measure over an S3 server that is as fresh as the server. The first
// time it also counts the requests to S3, in a run of its own.
func (b *bench) measureS3(w work, c contender, first bool) (usage, error) {
	gateway, err := startS3(filepath.Join(b.dir, "s3"))
	if err != nil {
		return usage{}, err
	}
	defer gateway.close()
	if first {
		if b.requests[key{w.name, c.name}], err = b.countRequests(w, c, gateway); err != nil {
			return usage{}, err
		}
	}
	s := b.serverOnS3(c, "http://"+gateway.addr)
	if err := s.Start(); err != nil {
		return usage{}, err
	}
	defer s.Kill()
	_, used, err := watch(s, w)
	return used, withLog(err, s)
}

// withLog adds to an error what the server last said beside its requests.
func withLog(err error, s *test.Server) error {
	if err == nil {
		return nil
	}
	last := ""
	for line := range strings.Lines(s.Log()) {
		if !strings.Contains(line, `"level":"INFO"`) && !strings.Contains(line, "level=INFO") {
			last = line
		}
	}
	return fmt.Errorf("%w\n%s", err, last)
}

func (b *bench) serverOnS3(c contender, endpoint string) *test.Server {
	if c.args == nil {
		return &test.Server{Argv: []string{filepath.Join(b.dir, "tusd"), "-s3-bucket", bucket, "-s3-endpoint", endpoint}}
	}
	args := append([]string{"--s3-bucket", bucket, "--s3-endpoint", endpoint, "--s3-path-style"}, c.args...)
	return &test.Server{Bin: filepath.Join(b.dir, "holdfast"), Data: filepath.Join(b.dir, "data"), Args: args}
}

// countRequests does the work once through a proxy that counts the requests to S3,
// and verifies what is stored then. The server's own, at its start, do not count.
func (b *bench) countRequests(w work, c contender, gateway *s3Server) (int64, error) {
	var count atomic.Int64
	forward := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", gateway.addr },
		Transport: &http.Transport{MaxIdleConnsPerHost: 1000, ExpectContinueTimeout: 5 * time.Second},
		ErrorLog:  log.New(io.Discard, "", 0),
	}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		count.Add(1)
		forward.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	s := b.serverOnS3(c, proxy.URL)
	if err := s.Start(); err != nil {
		return 0, err
	}
	defer s.Kill()
	time.Sleep(500 * time.Millisecond) // for the first sweep
	before := count.Load()
	paths, err := w.send(s.Addr)
	if err != nil {
		return 0, withLog(err, s)
	}
	requests := count.Load() - before
	return requests, w.verify(s.Addr, paths)
}
