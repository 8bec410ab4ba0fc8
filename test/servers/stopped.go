package servers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Signal sends a signal to a process. SIGSTOP takes effect later, on one thread after the other:
// Signal waits until none runs any more, where the system has /proc.
func Signal(process *os.Process, sig os.Signal) error {
	if err := process.Signal(sig); err != nil || sig != syscall.SIGSTOP {
		return err
	}
	tasks := fmt.Sprintf("/proc/%d/task", process.Pid)
	if _, err := os.Stat(tasks); err != nil {
		return nil
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if stopped(tasks) {
			return nil
		}
	}
	return errors.New("it does not stop")
}

// stopped reports whether all threads below a directory of /proc are stopped.
func stopped(tasks string) bool {
	stats, err := filepath.Glob(tasks + "/*/stat")
	if err != nil || len(stats) == 0 {
		return false
	}
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		_, state, _ := strings.Cut(string(text), ") ") // after the name of the program
		if !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}
