package test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// interruptions is how often the client of F9 is interrupted.
const interruptions = 2000

func TestF09ThousandsOfInterruptionsLeaveNeitherLossNorLitter(t *testing.T) {
	t.Parallel()
	s := start(t)
	random := rand.New(rand.NewPCG(9, 9))
	content := NewContent(90, interruptions*300)
	url := createTus(t, s, content.Size)
	var offset int64
	for i := range interruptions {
		n := min(1+random.Int64N(400), content.Size-offset)
		interrupt(t, s, url, content, offset, n, i%2 == 0)
		_, now := head(t, url, http.StatusOK)
		if now < offset || now > offset+n {
			t.Fatalf("interruption %d: the offset went from %d to %d with %d bytes", i, offset, now, n)
		}
		offset = now
	}
	if offset < content.Size/3 {
		t.Errorf("after %d interruptions only %d bytes were kept", interruptions, offset)
	}
	var files, bytes int64
	for path, size := range listing(t, s.Data) {
		if strings.Contains(path, idOf(url)) {
			files, bytes = files+1, bytes+size
		}
	}
	if files > 4 || bytes > content.Size+256*kib {
		t.Errorf("%d files of %d bytes for an upload of %d", files, bytes, content.Size)
	}
	restart(t, s)
	if _, now := head(t, url, http.StatusOK); now != offset {
		t.Errorf("the offset is %d after a restart, it was %d", now, offset)
	}
	finishTus(t, url, content)
	wantFile(t, url, content)
}

// interrupt begins to send the rest of an upload and gives up after n bytes: as a
// PATCH, or as a PUT with Content-Range.
func interrupt(t *testing.T, s *Server, url string, content Content, offset, n int64, byTus bool) {
	t.Helper()
	w := dial(t, s.Addr)
	defer w.conn.Close()
	rest := ranges.Range{Start: offset, End: content.Size}
	if byTus {
		w.send("PATCH /files/"+idOf(url)+" HTTP/1.1", "Host: "+s.Addr, tusVersion, offsetBytes,
			fmt.Sprintf("Upload-Offset: %d", offset), fmt.Sprintf("Content-Length: %d", rest.Len()))
	} else {
		w.send("PUT /files/"+idOf(url)+" HTTP/1.1", "Host: "+s.Addr,
			"Content-Range: "+ContentRange(rest, content.Size), fmt.Sprintf("Content-Length: %d", rest.Len()))
	}
	w.write(string(content.Bytes(ranges.Of(offset, n))))
	w.end()
	_, _ = io.Copy(io.Discard, w.in) // until the server is done with it
}

func TestF10WhileTheStoreFailsNoAnswerSaysThatTheUploadIsLost(t *testing.T) {
	t.Parallel()
	s := start(t, "--sweep-interval", "1h")
	c := newClient(s, "f10", small)
	for _, r := range smallChunk[:9] {
		put(t, c, r, http.StatusAccepted)
	}
	unblock := blockFinish(t, s, "f10")
	put(t, c, smallChunk[9], http.StatusServiceUnavailable)
	wantTransient(t, c)
	unblock()
	if _, offset := head(t, c.URL, http.StatusOK); offset != small.Size {
		t.Errorf("the offset is %d once the store is well again", offset)
	}
	wantFile(t, c.URL, small)
}

// wantTransient demands that every request for an upload whose store fails is
// asked to come back, in the way that its protocol has for it.
func wantTransient(t *testing.T, c *Client) {
	t.Helper()
	a, _ := head(t, c.URL, http.StatusLocked)
	if a.Header.Get("Retry-After") == "" {
		t.Error("423 without Retry-After")
	}
	ask(t, http.MethodHead, c.URL, nil, nil, http.StatusServiceUnavailable)
	ask(t, http.MethodGet, c.URL, nil, nil, http.StatusServiceUnavailable)
	putAs(t, c.URL, "", "bytes */1000", http.StatusServiceUnavailable)
	put(t, c, smallChunk[9], http.StatusServiceUnavailable)
	ask(t, http.MethodPatch, c.URL, strings.NewReader("x"), []string{tusVersion, offsetBytes, "Upload-Offset: 900"},
		http.StatusServiceUnavailable, http.StatusLocked)
}

func TestF11PollersDoNotInterruptTheUploadTheyPoll(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := NewContent(11, 4*mib)
	url := createTus(t, s, content.Size)
	p := &poller{t: t, url: url, stop: make(chan struct{}), found: map[int64]bool{}}
	p.poll()
	req := patchRequest(t.Context(), url, content, content.All())
	half := ranges.Of(0, content.Size/2)
	req.Body = io.NopCloser(&slow{io.MultiReader(
		content.Part(half), p.await(2), content.Part(ranges.Range{Start: half.End, End: content.Size - 1}), p.await(3),
		content.Part(ranges.Of(content.Size-1, 1))), 40 * time.Millisecond})
	answer, err := Do(http.DefaultClient, req)
	close(p.stop)
	p.wg.Wait()
	if err != nil || answer.Status != http.StatusNoContent {
		t.Fatalf("the PATCH that was polled: %d %s (%v)", answer.Status, answer.Body, err)
	}
	wantFile(t, url, content)
	if p.offsets() < 3 {
		t.Errorf("the pollers saw no progress, only the offsets %v", p.found)
	}
}

// poller asks for the state of an upload 20 times a second in each way there is.
type poller struct {
	t    *testing.T
	url  string
	stop chan struct{}
	wg   sync.WaitGroup

	mu    sync.Mutex
	found map[int64]bool // offsets that GET has returned
}

func (p *poller) poll() {
	for _, way := range []struct {
		method string
		fields []string
	}{
		{http.MethodHead, []string{tusVersion}}, {http.MethodHead, nil}, {http.MethodGet, nil},
		{http.MethodPut, []string{fmt.Sprintf("Content-Range: bytes */%d", 4*mib)}},
	} {
		p.wg.Go(func() {
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for {
				p.once(way.method, way.fields)
				select {
				case <-p.stop:
					return
				case <-tick.C:
				}
			}
		})
	}
}

func (p *poller) once(method string, fields []string) {
	a, err := Do(http.DefaultClient, request(p.t, method, p.url, nil, fields...))
	if err != nil || a.Status < 200 || a.Status > 299 {
		p.t.Errorf("%s %v while the upload runs: %d %s (%v)", method, fields, a.Status, a.Body, err)
	}
	if method == http.MethodGet && a.Status == http.StatusOK {
		p.mu.Lock()
		p.found[a.State.Offset] = true
		p.mu.Unlock()
	}
}

// offsets returns how many different ones there were.
func (p *poller) offsets() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.found)
}

// await is an empty part of a body: what follows it comes once so many offsets were
// there, or after a time in which they should have been.
func (p *poller) await(offsets int) io.Reader {
	return readerFunc(func([]byte) (int, error) {
		for end := time.Now().Add(10 * time.Second); p.offsets() < offsets && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
		return 0, io.EOF
	})
}

type readerFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// slow reads 64 KiB at a time, with a pause before each.
type slow struct {
	src   io.Reader
	pause time.Duration
}

func (s *slow) Read(p []byte) (int, error) {
	time.Sleep(s.pause)
	return s.src.Read(p[:min(len(p), 64*kib)])
}

func TestF11AClientsOwnResumeStopsItsDeadPredecessor(t *testing.T) {
	t.Parallel()
	s := start(t, "--idle-timeout", "8s")
	content := NewContent(112, mib)
	for i := range 20 { // the client may come back at any moment of the dead request's life
		url := createTus(t, s, content.Size)
		restart(t, s) // so that the first moments last longer
		dead := dial(t, s.Addr)
		dead.send("PATCH /files/"+idOf(url)+" HTTP/1.1", "Host: "+s.Addr, tusVersion, offsetBytes, "Upload-Offset: 0",
			fmt.Sprintf("Content-Length: %d", content.Size))
		dead.write(string(content.Bytes(ranges.Of(0, content.Size/2))))
		time.Sleep(time.Duration(i) * 100 * time.Microsecond)
		began := time.Now()
		finishTus(t, url, content) // while the dead connection still stands
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("the client had to wait %v for its dead predecessor", took)
		}
		wantFile(t, url, content)
		if _, err := io.Copy(io.Discard, dead.in); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("the dead request was not ended: %v", err)
		}
	}
}
