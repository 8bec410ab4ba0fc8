package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// javaStart is how long a server in Java may take to start on a busy machine.
const javaStart = 2 * time.Minute

// S3Proxy starts S3Proxy over a directory.
func S3Proxy(t testing.TB) *Server {
	t.Helper()
	s := &Server{Addr: freeAddr(t), t: t, startWithin: javaStart}
	settings := filepath.Join(t.TempDir(), "s3proxy.properties")
	text := fmt.Sprintf("s3proxy.authorization=none\ns3proxy.endpoint=http://%s\njclouds.provider=filesystem-nio2\n"+
		"jclouds.filesystem.basedir=%s\njclouds.identity=a\njclouds.credential=b\n", s.Addr, t.TempDir())
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start = func() *exec.Cmd { return java(t, "s3proxy", "org.gaul.s3proxy.Main", "--properties", settings) }
	s.Start()
	t.Cleanup(s.Kill)
	return s
}

// S3Mock starts Adobe's S3Mock.
func S3Mock(t testing.TB) *Server {
	t.Helper()
	s := &Server{Addr: freeAddr(t), t: t, startWithin: javaStart}
	s.start = func() *exec.Cmd {
		return java(t, "s3mock", "com.adobe.testing.s3mock.S3MockApplication", "--server.port="+portOf(freeAddr(t)), "--com.adobe.testing.s3mock.httpPort="+portOf(s.Addr))
	}
	s.Start()
	t.Cleanup(s.Kill)
	return s
}

// java runs a class of a program of which make has written the class path.
func java(t testing.TB, name, class string, args ...string) *exec.Cmd {
	t.Helper()
	path := os.Getenv("JAVA_S3_SERVERS")
	classes, err := os.ReadFile(filepath.Join(path, name+".classpath"))
	if err != nil {
		t.Fatalf("run by `make servers`: %v", err)
	}
	return exec.Command("java", append([]string{"-cp", string(classes), class}, args...)...)
}
