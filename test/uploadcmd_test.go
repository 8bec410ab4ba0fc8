package test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

var uploadSize = flag.Int64("upload-size", 64<<20, "size of the file that holdfast upload sends over a line that breaks, in bytes")

// uploadCommand is a holdfast upload that runs.
type uploadCommand struct {
	cmd    *exec.Cmd
	out    bytes.Buffer
	exited chan struct{}
}

// startUpload runs holdfast upload with JSON lines. state is the user's state directory.
func startUpload(t *testing.T, state string, args ...string) *uploadCommand {
	t.Helper()
	u := &uploadCommand{cmd: exec.Command(holdfast, append([]string{"upload", "--json"}, args...)...), exited: make(chan struct{})}
	u.cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+state)
	u.cmd.Stdout, u.cmd.Stderr = &u.out, &u.out
	if err := u.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = u.cmd.Wait() // ProcessState says how it ended
		close(u.exited)
	}()
	t.Cleanup(u.kill)
	return u
}

func (u *uploadCommand) kill() {
	_ = u.cmd.Process.Kill() // it may have ended already
	<-u.exited
}

// complete waits for the end of the command, and returns its last line.
func (u *uploadCommand) complete(t *testing.T) (line struct {
	Event, URL          string
	Size, Sent, Resumed int64
	Retries             int
	Verified            bool
}) {
	t.Helper()
	<-u.exited
	lines := strings.Split(strings.TrimSpace(u.out.String()), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil || !u.cmd.ProcessState.Success() || !line.Verified {
		t.Fatalf("%v, %v: %s", u.cmd.ProcessState, err, tail(u.out.String(), 2000))
	}
	return line
}

// bytesReceived asks the admin address how many bytes the only upload there has.
func bytesReceived(t *testing.T, admin string) int64 {
	t.Helper()
	resp, err := http.Get(admin + "/uploads")
	if err != nil {
		return 0 // it is being started again
	}
	defer resp.Body.Close()
	var line struct{ Received int64 }
	_ = json.NewDecoder(resp.Body).Decode(&line) // there may be none yet
	return line.Received
}

// Over a line that breaks all connections after 1 to 20 MiB, with two kills of the client
// and one of the server, the file arrives whole, and little is sent twice.
func TestHoldfastUploadSurvivesCutsAndKillsOfBothEnds(t *testing.T) {
	t.Parallel()
	size := *uploadSize
	content := NewContent(61, size)
	path, state := file(t, content), t.TempDir()
	s, admin := startAdmin(t)
	rnd := rand.New(rand.NewPCG(61, 61))
	proxy := proxied(t, s, func() Cut { return Never })
	proxy.CutLine(func() int64 { return mib + rnd.Int64N(19*mib) })
	args := []string{"--limit-rate", fmt.Sprint(max(size/5, 20*mib)), path, "http://" + proxy.Addr + "/files/"}
	reaches := func(u *uploadCommand, share float64) {
		t.Helper()
		eventually(t, 4*time.Minute, fmt.Sprintf("%.0f %% are there", 100*share), func() bool {
			select {
			case <-u.exited:
				t.Fatalf("the command ended before %.0f %%: %s", 100*share, u.out.String())
			default:
			}
			return bytesReceived(t, admin) >= int64(share*float64(size))
		})
	}
	for _, share := range []float64{0.2, 0.45} {
		u := startUpload(t, state, args...)
		reaches(u, share)
		u.kill()
	}
	u := startUpload(t, state, args...)
	reaches(u, 0.7)
	restart(t, s)
	line := u.complete(t)
	wantFile(t, s.URL(idOf(line.URL)), content)
	proxy.Close()
	t.Logf("%d cuts; %d bytes were sent for %d: %.3f", proxy.Cuts(), proxy.Sent(), size, float64(proxy.Sent())/float64(size))
	if proxy.Cuts() < size/(20*mib)/2 || line.Resumed < size*4/10 {
		t.Errorf("%d cuts, %d bytes resumed: nothing was shown", proxy.Cuts(), line.Resumed)
	}
	if float64(proxy.Sent()) > 1.2*float64(size) {
		t.Errorf("%d bytes were sent for a file of %d", proxy.Sent(), size)
	}
}

// What the documents have a person type works as it stands there.
func TestReadmeUploadsWithTheCommand(t *testing.T) {
	s := start(t)
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	typed(t, s, "mkdir photos && cp video.mp4 photos\n"+readmeBlock(t, "sh", "holdfast rm"), NewContent(62, 100_000))
	typed(t, s, "mkdir photos && cp video.mp4 photos\n"+readmeBlock(t, "sh", "tar -c photos"), NewContent(62, 100_000))
}
