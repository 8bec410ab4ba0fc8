// Package test holds what drives the real binary: end-to-end tests over HTTP
// with real clients, broken connections, kills and restarts, and benchmarks
// beside peers.
//
// The files that are no tests are its tools: Server runs a holdfast process,
// Proxy cuts connections, Client sends chunks as a phone does, Content is what
// they send.
package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/holdfast-upload/holdfast/test/ports"
)

// startWithin is how long a server may take until it listens.
const startWithin = time.Minute

// Server is a holdfast process. Fill in the exported fields, then Start.
type Server struct {
	Bin  string   // the binary
	Data string   // its --data
	Args []string // further arguments of serve
	Wrap []string // a command that runs the binary, such as one that sets limits
	Argv []string // the whole command line, of a peer that logs its address likewise

	Addr string // host:port; set by the first Start and kept by the next ones

	cmd    *exec.Cmd
	exited chan struct{}
	log    serverLog
}

// Start runs the binary and returns once it listens.
func (s *Server) Start() error {
	if s.Addr == "" && len(s.Argv) == 0 {
		var err error
		if s.Addr, err = ports.Reserve(); err != nil {
			return err
		}
	}
	argv := s.argv()
	s.cmd = exec.Command(argv[0], argv[1:]...)
	listening := s.log.expectListening()
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	s.exited = exited
	go func() {
		_ = s.cmd.Wait() // ProcessState says how it ended
		close(exited)
	}()
	select {
	case s.Addr = <-listening:
		return nil
	case <-exited:
		return fmt.Errorf("the server did not start: %v\n%s", s.cmd.ProcessState, s.Log())
	case <-time.After(startWithin):
		s.Kill()
		return fmt.Errorf("the server does not listen\n%s", s.Log())
	}
}

func (s *Server) argv() []string {
	if len(s.Argv) > 0 {
		return s.Argv
	}
	serve := []string{s.Bin, "serve", "--listen", s.Addr, "--data", s.Data, "--log-format", "json"}
	return slices.Concat(s.Wrap, serve, s.Args)
}

// Kill ends the process at once, as kill -9 does.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill() // it may have ended already
	<-s.exited
	http.DefaultClient.CloseIdleConnections() // they lead nowhere
}

// Terminate sends SIGTERM and waits for the process to leave. An error means that
// it did not within the given time, or not with status 0.
func (s *Server) Terminate(within time.Duration) error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.exited:
	case <-time.After(within):
		s.Kill()
		return fmt.Errorf("the server did not leave within %v of SIGTERM", within)
	}
	if !s.cmd.ProcessState.Success() {
		return fmt.Errorf("the server left with %v", s.cmd.ProcessState)
	}
	return nil
}

// Pid is the id of the process, valid while no Wrap forks.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// URL is the URL of an upload, and of the creation of one if id is empty.
func (s *Server) URL(id string) string { return "http://" + s.Addr + "/files/" + id }

// Admin is the address of the admin listener of the process, empty if it has none.
func (s *Server) Admin() string { return s.log.adminAddr() }

// Log is all that the processes of this Server have written.
func (s *Server) Log() string { return s.log.String() }

// Crash returns what the log has of panics and data races, empty if there were none.
func (s *Server) Crash() string {
	log := s.Log()
	for _, sign := range []string{"panic", "DATA RACE", "fatal error:", "goroutine 1 ["} {
		if i := strings.Index(log, sign); i >= 0 {
			return log[max(0, i-200):min(len(log), i+4000)]
		}
	}
	return ""
}

// serverLog keeps the output of a process, and finds the address in it.
type serverLog struct {
	mu        sync.Mutex
	text      bytes.Buffer
	line      []byte
	listening chan string
	admin     string // where the last process says that it is
}

func (l *serverLog) expectListening() <-chan string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listening = make(chan string, 1)
	return l.listening
}

func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	for _, b := range p {
		if b != '\n' {
			l.line = append(l.line, b)
			continue
		}
		l.readLine()
		l.line = l.line[:0]
	}
	return len(p), nil
}

func (l *serverLog) readLine() {
	var entry struct{ Msg, Addr string }
	if json.Unmarshal(l.line, &entry) != nil {
		return
	}
	if entry.Msg == "admin listening" {
		l.admin = entry.Addr
	}
	if entry.Msg != "listening" {
		return
	}
	select {
	case l.listening <- entry.Addr:
	default:
	}
}

func (l *serverLog) adminAddr() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.admin
}

func (l *serverLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
