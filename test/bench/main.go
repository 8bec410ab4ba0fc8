// Command bench measures holdfast's real binary beside tusd's file store, or beside
// its S3 store on the same S3 server, in one run on one machine, and prints a table
// in Markdown.
//
// Each measurement is a fresh server over an empty directory or bucket. The servers take
// turns, and of several runs the median counts. It reads what a process has used
// from /proc, and so runs on Linux only.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/holdfast-upload/holdfast/test"
	"github.com/holdfast-upload/holdfast/test/servers"
)

const module = "github.com/holdfast-upload/holdfast"

// bench is one run of the command.
type bench struct {
	dir        string // for binaries and data
	runs       int
	tusdLocker string
	onS3       bool
	only       string
	results    map[key][]usage
	requests   map[key]int64 // to S3
}

// key names a cell of the table.
type key struct{ work, contender string }

func main() {
	b := bench{results: map[key][]usage{}, requests: map[key]int64{}}
	flag.IntVar(&b.runs, "runs", 3, "how often to measure each; the median counts")
	flag.StringVar(&b.dir, "dir", "", "directory on the disk to measure on; the system's for temporary files if empty")
	flag.StringVar(&b.tusdLocker, "tusd-locker", "file", "tusd's locker: file, as its command has it, or memory")
	flag.BoolVar(&b.onS3, "s3", false, "measure on an S3 server, versitygw, which is started for it")
	flag.StringVar(&b.only, "only", "", "measure only work whose name contains this")
	flag.Parse()
	if err := b.run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) run() error {
	dir, err := os.MkdirTemp(b.dir, "holdfast-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b.dir = dir
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": servers.AccessKey, "AWS_SECRET_ACCESS_KEY": servers.SecretKey, "AWS_REGION": "us-east-1",
	} {
		_ = os.Setenv(name, value) // fails for no name of these
	}
	if err := b.build(); err != nil {
		return err
	}
	for n := range b.runs {
		for _, work := range b.works() {
			for _, c := range b.contenders(work) {
				used, err := b.measure(work, c, n == 0)
				if err != nil && b.onS3 { // under load, that server refuses a request now and then
					fmt.Fprintf(os.Stderr, "once more: %s: %s: %v\n", c.name, work.name, err)
					used, err = b.measure(work, c, n == 0)
				}
				if err != nil {
					return fmt.Errorf("%s: %s: %w", c.name, work.name, err)
				}
				fmt.Fprintf(os.Stderr, "run %d: %-28s %-18s %v\n", n+1, work.name, c.name, used)
				k := key{work.name, c.name}
				b.results[k] = append(b.results[k], used)
			}
		}
	}
	b.print(os.Stdout)
	return nil
}

func (b *bench) works() []work {
	all := diskWorks
	if b.onS3 {
		all = s3Works
	}
	var works []work
	for _, w := range all {
		if strings.Contains(w.name, b.only) {
			works = append(works, w)
		}
	}
	return works
}

// contenders are the servers that can do some work.
func (b *bench) contenders(w work) []contender {
	switch {
	case !b.onS3:
		return diskContenders
	case w.ranges:
		return s3Contenders[:1]
	}
	return s3Contenders
}

func (b *bench) build() error {
	for _, pkg := range []string{"/cmd/holdfast", "/test/peer/tusd"} {
		cmd := exec.Command("go", "build", "-o", b.dir+string(filepath.Separator), module+pkg)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("build %s: %w", pkg, err)
		}
	}
	return nil
}

// contender is a server to measure.
type contender struct {
	name string
	args []string // of holdfast; nil for tusd
}

const peer = "tusd 2.9.2"

var diskContenders = []contender{
	{"holdfast", []string{}},
	{"holdfast --no-fsync", []string{"--no-fsync"}},
	{peer, nil},
}

func (b *bench) server(c contender, data string) *test.Server {
	if c.args == nil {
		return &test.Server{Argv: []string{filepath.Join(b.dir, "tusd"), "-data", data, "-locker", b.tusdLocker}}
	}
	return &test.Server{Bin: filepath.Join(b.dir, "holdfast"), Data: data, Args: c.args}
}

// measure lets a fresh server do some work, and returns what that took. The first
// time it also verifies that the server has stored what it was sent.
func (b *bench) measure(w work, c contender, verify bool) (usage, error) {
	syscall.Sync() // what others wrote before must not count here
	if b.onS3 {
		return b.measureS3(w, c, verify)
	}
	data := filepath.Join(b.dir, "data")
	defer os.RemoveAll(data)
	s := b.server(c, data)
	if err := s.Start(); err != nil {
		return usage{}, err
	}
	defer s.Kill()
	paths, used, err := watch(s, w)
	if err == nil && verify {
		err = w.verify(s.Addr, paths)
	}
	return used, err
}
