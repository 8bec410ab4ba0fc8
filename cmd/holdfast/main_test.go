package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary run as holdfast, for tests that need a process.
func TestMain(m *testing.M) {
	if os.Getenv("HOLDFAST_TEST_IS_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process is a running holdfast process.
type process struct {
	*exec.Cmd
	log   *logBuffer
	ended chan error
}

func startProcess(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], args...), log: &logBuffer{}, ended: make(chan error, 1)}
	p.Env = append(os.Environ(), "HOLDFAST_TEST_IS_MAIN=1", "HOLDFAST_LOG_FORMAT=json")
	p.Stderr = p.log
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.Wait() }()
	t.Cleanup(func() { _ = p.Process.Kill() })
	return p
}

// url waits until the process listens and returns where uploads are created.
func (p *process) url(t *testing.T) string {
	t.Helper()
	var line map[string]any
	eventually(t, "the address in the log", func() bool { line = p.log.find("listening"); return line != nil })
	return line["url"].(string)
}

func (p *process) wait(t *testing.T) *os.ProcessState {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatal("the process does not end")
	}
	return p.ProcessState
}

func TestSignalEndsTheProcessCleanly(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := startProcess(t, "--listen=127.0.0.1:0", "--data="+t.TempDir())
		p.url(t)
		if err := p.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if state := p.wait(t); state.ExitCode() != 0 {
			t.Errorf("%s: %s", sig, state)
		}
	}
}

func TestSecondSignalEndsTheProcessAtOnce(t *testing.T) {
	p := startProcess(t, "serve", "--listen=127.0.0.1:0", "--data="+t.TempDir(), "--shutdown-timeout=1h")
	url := p.url(t)
	sendPart(t, h1(t), "PUT", url+"photo", randomBytes(1000), 500)
	eventually(t, "the upload has begun", func() bool { return p.log.find("upload created") != nil })
	for _, message := range []string{"shutting down", ""} {
		if err := p.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the shutdown begins", func() bool { return message == "" || p.log.find(message) != nil })
	}
	if state := p.wait(t); state.Success() {
		t.Errorf("%s, want an end that was not clean", state)
	}
}

func TestDirectoryIsUsedByOneProcess(t *testing.T) {
	dir := t.TempDir()
	startProcess(t, "--listen=127.0.0.1:0", "--data="+dir).url(t)
	var stderr bytes.Buffer
	second := exec.Command(os.Args[0], "--listen=127.0.0.1:0", "--data="+dir)
	second.Env = append(os.Environ(), "HOLDFAST_TEST_IS_MAIN=1")
	second.Stderr = &stderr
	err := second.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(stderr.String(), "in use by another process") {
		t.Errorf("%v: %s", err, stderr.String())
	}
}

func TestExitCodes(t *testing.T) {
	none := func(string) (string, bool) { return "", false }
	for _, c := range []struct {
		args           string
		code           int
		stdout, stderr string
	}{
		{"--help", 0, "Usage: holdfast", ""},
		{"--version", 0, "holdfast " + version(), ""},
		{"--max-size=huge", 2, "", "holdfast: --max-size"},
		{"--unknown", 2, "", "holdfast: unknown flag --unknown"},
		{"--config=does/not/exist", 2, "", "does/not/exist"},
		{"--listen=127.0.0.1:0 --data=/dev/null/data", 1, "", "holdfast: open the store"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(strings.Fields(c.args), none, &stdout, &stderr)
		if code != c.code || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", c.args, code, stdout.String(), stderr.String())
		}
		if c.code != 0 && stdout.Len() > 0 {
			t.Errorf("%s: an error on stdout: %q", c.args, stdout.String())
		}
	}
}
