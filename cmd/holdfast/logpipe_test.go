package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// F35: when the reader of the log goes away, lines are lost, and the server stays.
func TestF35TheServerOutlivesTheReaderOfItsLog(t *testing.T) {
	log, stderr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := &process{Cmd: exec.Command(os.Args[0], "--listen=127.0.0.1:0", "--data="+t.TempDir()), ended: make(chan error, 1)}
	p.Env = append(os.Environ(), "HOLDFAST_TEST_IS_MAIN=1", "HOLDFAST_LOG_FORMAT=json")
	p.Stdout, p.Stderr = stderr, stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	stderr.Close()
	go func() { p.ended <- p.Wait() }()
	t.Cleanup(func() { _ = p.Process.Kill() })
	var line struct{ Msg, URL string }
	for lines := bufio.NewScanner(log); line.Msg != "listening" && lines.Scan(); {
		_ = json.Unmarshal(lines.Bytes(), &line)
	}
	log.Close()
	for range 3 { // each request writes lines
		if a := do(t, h1(t), "PUT", line.URL+"photo", strings.NewReader("bytes")); a.StatusCode != http.StatusCreated {
			t.Errorf("%s %s", a.Status, a.body)
		}
	}
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if state := p.wait(t); state.ExitCode() != 0 {
		t.Errorf("the server ended with %s", state)
	}
}
