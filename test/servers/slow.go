package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// slowStart is how long one of these servers may take to start.
const slowStart = 2 * time.Minute

// SeaweedFS starts SeaweedFS: a master, a volume server, a filer and its S3 in one process.
func SeaweedFS(t testing.TB) *Server {
	t.Helper()
	args := []string{"-logtostderr", "server", "-dir=" + t.TempDir(), "-master.telemetry=false", "-master.volumeSizeLimitMB=64",
		"-volume.max=10000", "-s3", "-s3.port.iceberg=0"}
	for _, port := range []string{"s3.port.grpc", "filer.port", "filer.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc"} {
		args = append(args, "-"+port+"="+portOf(freeAddr(t)))
	}
	return launch(t, slowStart, func(addr string) *exec.Cmd {
		cmd := exec.Command(find(t, "weed"), append(args, "-ip="+hostOf(addr), "-ip.bind="+hostOf(addr), "-s3.port="+portOf(addr))...)
		cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+AccessKey, "AWS_SECRET_ACCESS_KEY="+SecretKey)
		return cmd
	})
}

// LocalStack starts the S3 of LocalStack. It keeps everything below a directory of the test,
// asks no other host, and checks no keys.
func LocalStack(t testing.TB) *Server {
	t.Helper()
	python := filepath.Join(filepath.Dir(find(t, "localstack-supervisor")), "python3")
	dir := t.TempDir()
	return launch(t, slowStart, func(addr string) *exec.Cmd {
		cmd := exec.Command(python, "-m", "localstack.runtime.main")
		cmd.Env = append(os.Environ(), "GATEWAY_LISTEN="+addr, "SERVICES=s3", "STRICT_SERVICE_LOADING=1", "USE_SSL=0", "DNS_ADDRESS=0",
			"DISABLE_EVENTS=1", "SKIP_SSL_CERT_DOWNLOAD=1", "TMPDIR="+dir, "FILESYSTEM_ROOT="+dir, "XDG_CACHE_HOME="+dir)
		return cmd
	})
}

// S3Proxy starts S3Proxy over a directory.
func S3Proxy(t testing.TB) *Server {
	t.Helper()
	settings, dir := filepath.Join(t.TempDir(), "s3proxy.properties"), t.TempDir()
	return launch(t, slowStart, func(addr string) *exec.Cmd {
		text := fmt.Sprintf("s3proxy.authorization=none\ns3proxy.endpoint=http://%s\njclouds.provider=filesystem-nio2\n"+
			"jclouds.filesystem.basedir=%s\njclouds.identity=a\njclouds.credential=b\n", addr, dir)
		if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return java(t, "s3proxy", "org.gaul.s3proxy.Main", "--properties", settings)
	})
}

// S3Mock starts Adobe's S3Mock.
func S3Mock(t testing.TB) *Server {
	t.Helper()
	return launch(t, slowStart, func(addr string) *exec.Cmd {
		return java(t, "s3mock", "com.adobe.testing.s3mock.S3MockApplication", "--server.port="+portOf(freeAddr(t)), "--com.adobe.testing.s3mock.httpPort="+portOf(addr))
	})
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
