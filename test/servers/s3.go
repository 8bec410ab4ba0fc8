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
	return launch(t, normalStart, func(addr string) *exec.Cmd {
		return exec.Command(python, "-m", "moto.server", "-H", hostOf(addr), "-p", portOf(addr))
	})
}

// GoFakeS3 starts gofakes3, an S3 server in Go that keeps everything in memory.
func GoFakeS3(t testing.TB) *Server {
	t.Helper()
	return launch(t, normalStart, func(addr string) *exec.Cmd {
		return exec.Command(find(t, "gofakes3"), "-host", addr, "-backend", "memory", "-quiet")
	})
}
