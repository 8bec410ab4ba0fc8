//go:build linux

// Command line measures how fast a file gets over a slow line, by holdfast upload, by curl
// and by tus in one request.
//
// The line is between two network namespaces that the command makes, each with a TUN device:
// what one sends, the other gets after the delay, at the bandwidth, unless it is lost. So
// the TCP of the kernel meets the line that it would meet out there. It needs root, or a
// user namespace (unshare -r), and ip.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/test"
)

const (
	serverAddr = "198.18.0.1" // the range of RFC 2544, for benchmarks
	clientAddr = "198.18.0.2"
)

func main() {
	var l line
	flag.DurationVar(&l.delay, "rtt", 100*time.Millisecond, "round trip `time`")
	flag.Float64Var(&l.rate, "mbit", 200, "bandwidth in Mbit/s")
	flag.Float64Var(&l.loss, "loss", 0.01, "share of packets that are lost, in each direction")
	flag.StringVar(&l.congestion, "congestion", "cubic", "congestion control of TCP: cubic, reno or bbr")
	size := flag.Int64("mib", 16, "size of the file in MiB")
	flag.Parse()
	l.delay /= 2
	if err := run(&l, *size<<20); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// way is one way to upload a file.
type way struct {
	name   string
	script string // of bash, with $file, $base and $holdfast
}

var ways = []way{
	{"curl -T", `curl -sSf -o /dev/null -T "$file" "$base"curl`},
	{"tus, one PATCH", `location=$(curl -sSf -D - -o /dev/null -X POST -H 'Tus-Resumable: 1.0.0' -H "Upload-Length: $(stat -c %s "$file")" "$base" |
		tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
		curl -sSf -o /dev/null -X PATCH -T "$file" -H 'Tus-Resumable: 1.0.0' -H 'Upload-Offset: 0' -H 'Content-Type: application/offset+octet-stream' "$location"`},
	{"holdfast upload --protocol tus", `"$holdfast" upload --no-resume --protocol tus --json "$file" "$base"`},
	{"holdfast upload", `"$holdfast" upload --no-resume --json "$file" "$base"`},
}

func run(l *line, size int64) error {
	dir, err := os.MkdirTemp("", "bench-line")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	holdfast, file := filepath.Join(dir, "holdfast"), filepath.Join(dir, "file")
	build := exec.Command("go", "build", "-o", holdfast, "github.com/holdfast-upload/holdfast/cmd/holdfast")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build holdfast: %w\n%s", err, out)
	}
	content := test.NewContent(1, size)
	if err := os.WriteFile(file, content.Bytes(content.All()), 0o600); err != nil {
		return err
	}
	if err := l.open(); err != nil {
		return fmt.Errorf("make the line: %w", err)
	}
	server := exec.Command(holdfast, "--listen", serverAddr+":8080", "--data", filepath.Join(dir, "data"))
	if err := l.server.do(server.Start); err != nil {
		return err
	}
	defer func() { _ = errors.Join(server.Process.Kill(), server.Wait()) }()
	env := append(os.Environ(), "file="+file, "holdfast="+holdfast, "base=http://"+serverAddr+":8080/files/")
	if err := l.client.script(env, "curl -sSf --retry 20 --retry-connrefused --retry-delay 1 -o /dev/null http://"+serverAddr+":8080/readyz 2>/dev/null", nil); err != nil {
		return err
	}
	fmt.Printf("%d MiB; %v round trip, %g Mbit/s, %g %% loss, %s\n\n", size>>20, 2*l.delay, l.rate, 100*l.loss, l.congestion)
	for _, w := range ways {
		if err := measure(l, w, env, size); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}

func measure(l *line, w way, env []string, size int64) error {
	var out bytes.Buffer
	begun, sent := time.Now(), l.up.bytes.Load()
	if err := l.client.script(env, w.script, &out); err != nil {
		return err
	}
	took := time.Since(begun)
	var last struct{ Parallel, Chunk int64 }
	for text := range strings.Lines(out.String()) {
		var found struct {
			Event           string
			Parallel, Chunk int64
		}
		if json.Unmarshal([]byte(text), &found) == nil && found.Event == "progress" {
			last.Parallel, last.Chunk = max(last.Parallel, found.Parallel), max(last.Chunk, found.Chunk)
		}
	}
	fmt.Printf("%-32s %7.1f s %8.2f Mbit/s  %.2f bytes on the wire per byte", w.name, took.Seconds(),
		float64(size)*8/1e6/took.Seconds(), float64(l.up.bytes.Load()-sent)/float64(size))
	if last.Parallel > 0 {
		fmt.Printf("  up to %d chunks of up to %d KiB at once", last.Parallel, last.Chunk>>10)
	}
	fmt.Println()
	return nil
}
