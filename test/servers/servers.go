// Package servers starts the real servers that tests run against: an S3 server
// and a Redis server, each on a port of its own, gone when the test ends. One that
// is not installed fails the test.
package servers

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/test/ports"
)

// The keys with which S3 is reached.
const (
	AccessKey = "holdfast"
	SecretKey = "holdfast-secret"
)

// Server is a running server.
type Server struct {
	Addr string // HOST:PORT

	t           testing.TB
	start       func() *exec.Cmd
	startWithin time.Duration
	cmd         *exec.Cmd
}

// S3 starts an S3 server with no bucket in it, or returns the one at the URL in the variable
// HOLDFAST_TEST_S3, which must accept the keys above. That is neither killed nor started.
func S3(t testing.TB) *Server {
	t.Helper()
	if addr, ok := strings.CutPrefix(os.Getenv("HOLDFAST_TEST_S3"), "http://"); ok {
		return &Server{Addr: strings.TrimSuffix(addr, "/"), t: t}
	}
	dir := t.TempDir()
	return launch(t, normalStart, func(addr string) *exec.Cmd {
		cmd := exec.Command(find(t, "versitygw"), "--port", addr, "--keep-alive", "--quiet", "posix", dir)
		cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+AccessKey, "ROOT_SECRET_KEY="+SecretKey)
		return cmd
	})
}

// Redis starts a Redis server that keeps nothing on disk.
func Redis(t testing.TB) *Server {
	t.Helper()
	return launch(t, normalStart, func(addr string) *exec.Cmd {
		return exec.Command(find(t, "redis-server"), "--bind", hostOf(addr), "--port", portOf(addr), "--save", "", "--appendonly", "no")
	})
}

// normalStart is how long a server may take to start on a busy machine.
const normalStart = time.Minute

// launch starts a server at an address of its own, and kills it at the end of the test. command
// returns its command line.
func launch(t testing.TB, startWithin time.Duration, command func(addr string) *exec.Cmd) *Server {
	t.Helper()
	s := &Server{Addr: freeAddr(t), t: t, startWithin: startWithin}
	s.start = func() *exec.Cmd { return command(s.Addr) }
	s.Start()
	t.Cleanup(s.Kill)
	return s
}

// Start starts the server again after Kill, and waits until it listens.
func (s *Server) Start() {
	s.t.Helper()
	if s.start == nil {
		return
	}
	s.cmd = s.start()
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("start %s: %v", s.cmd.Path, err)
	}
	for deadline := time.Now().Add(s.startWithin); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", s.Addr)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s does not listen: %v", s.cmd.Path, err)
		}
	}
}

// Kill ends the server at once.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may be gone already
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Signal sends the server a signal, as the function Signal does.
func (s *Server) Signal(sig os.Signal) {
	s.t.Helper()
	if s.cmd == nil {
		s.t.Fatalf("no process at %s was started to send it %v", s.Addr, sig)
	}
	if err := Signal(s.cmd.Process, sig); err != nil {
		s.t.Fatalf("signal %s: %v", s.cmd.Path, err)
	}
}

// URL is where the server is found.
func (s *Server) URL(scheme string) string { return fmt.Sprintf("%s://%s", scheme, s.Addr) }

// find looks for a program on the PATH and where go install puts it.
func find(t testing.TB, name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{os.Getenv("GOBIN"), goBin()} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); dir != "" && err == nil && !info.IsDir() {
			return path
		}
	}
	t.Fatalf("%s is not installed; run the tests by `make test`, which installs it", name)
	return ""
}

func goBin() string {
	out, err := exec.Command("go", "env", "GOPATH").Output()
	if err != nil || len(out) < 2 {
		return ""
	}
	return filepath.Join(string(out[:len(out)-1]), "bin")
}

func freeAddr(t testing.TB) string {
	t.Helper()
	addr, err := ports.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func hostOf(addr string) string {
	host, _, _ := net.SplitHostPort(addr) // from freeAddr
	return host
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}
