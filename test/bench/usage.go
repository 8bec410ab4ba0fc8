package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/test"
)

// usage is what a piece of work took.
type usage struct {
	bytes int64
	wall  time.Duration
	cpu   time.Duration // of the server, in its own code and in the kernel's
	peak  int64         // bytes of the server's memory, at most
}

func (u usage) mibPerSecond() float64 { return float64(u.bytes) / (1 << 20) / u.wall.Seconds() }
func (u usage) cpuPerGiB() float64    { return u.cpu.Seconds() / (float64(u.bytes) / (1 << 30)) }
func (u usage) peakMiB() float64      { return float64(u.peak) / (1 << 20) }

func (u usage) seconds() float64 { return u.wall.Seconds() }

func (u usage) String() string {
	return fmt.Sprintf("%6.0f MiB/s  %5.2f CPU s/GiB  %4.0f MiB", u.mibPerSecond(), u.cpuPerGiB(), u.peakMiB())
}

// watch sends the work to a server. It returns the paths of the files that were
// made, and what the server used for them.
func watch(s *test.Server, w work) ([]string, usage, error) {
	before, err := cpuTime(s.Pid())
	if err != nil {
		return nil, usage{}, err
	}
	began := time.Now()
	paths, err := w.send(s.Addr)
	used := usage{bytes: w.bytes(), wall: time.Since(began)}
	if err != nil {
		return nil, used, err
	}
	after, err := cpuTime(s.Pid())
	if err != nil {
		return nil, used, err
	}
	used.cpu = after - before
	used.peak, err = peakMemory(s.Pid())
	return paths, used, err
}

// clockTick is the unit of times in /proc, the same on all Linux of today.
const clockTick = 10 * time.Millisecond

// cpuTime is the utime and stime of a process; see proc_pid_stat(5).
func cpuTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name in parentheses may hold anything; utime and stime are the 12th and
	// 13th fields after it.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// peakMemory is the most that a process has had in memory, in bytes.
func peakMemory(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("process %d has no VmHWM", pid)
}
