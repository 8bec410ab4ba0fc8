package servers

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// Moto starts moto, an S3 server in Python that keeps everything in memory.
func Moto(t testing.TB) *Server {
	t.Helper()
	python := filepath.Join(filepath.Dir(find(t, "moto_server")), "python3")
	s := &Server{Addr: freeAddr(t), t: t}
	s.start = func() *exec.Cmd {
		return exec.Command(python, "-m", "moto.server", "-H", hostOf(s.Addr), "-p", portOf(s.Addr))
	}
	s.Start()
	t.Cleanup(s.Kill)
	return s
}

// GoFakeS3 starts gofakes3, an S3 server in Go that keeps everything in memory.
func GoFakeS3(t testing.TB) *Server {
	t.Helper()
	s := &Server{Addr: freeAddr(t), t: t}
	s.start = func() *exec.Cmd {
		return exec.Command(find(t, "gofakes3"), "-host", s.Addr, "-backend", "memory", "-quiet")
	}
	s.Start()
	t.Cleanup(s.Kill)
	return s
}
