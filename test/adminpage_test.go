package test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// drawn returns what the map of the first upload in a table shows as fully received, in
// hundredths of the upload.
func drawn(p webPage, table string) (shown ranges.Set) {
	p.t.Helper()
	rects := evaluate[[][3]float64](p, `[...(document.querySelector('#`+table+` .map')?.children ?? [])].map(r => [r.x.baseVal.value, r.width.baseVal.value, Number(r.getAttribute('fill-opacity'))])`)
	for _, r := range rects {
		if r[2] == 1 {
			shown.Add(ranges.Of(int64(r[0]), int64(r[1])))
		}
	}
	return shown
}

// hundredths returns which of a hundred parts of an upload the server says that it has.
func hundredths(t *testing.T, s *Server, id string) (has ranges.Set) {
	t.Helper()
	answer := ask(t, http.MethodGet, s.URL(id)+"?state", nil, nil, http.StatusOK)
	var state struct {
		Size     int64
		Received []string
	}
	if err := json.Unmarshal([]byte(answer.Body), &state); err != nil {
		t.Fatal(err)
	}
	for _, text := range state.Received {
		var from, to int64
		if _, err := fmt.Sscanf(text, "%d-%d", &from, &to); err != nil {
			t.Fatal(err)
		}
		part := state.Size / 100
		if first, last := (from+part-1)/part, (to+1)/part; first < last {
			has.Add(ranges.Range{Start: first, End: last})
		}
	}
	return has
}

func TestAdminPageDrawsWhatTheServerHas(t *testing.T) {
	t.Parallel()
	s, admin := startAdmin(t)
	p := openPage(t, admin+"/")
	p.await("#connection", "Live")
	p.await("#receiving", "Nothing is being received.")
	const size = 10_000_000 // bytes, divisible by the hundred parts of a map
	content := NewContent(320, size)
	send := func(from, to int64) {
		t.Helper()
		fields := []string{fmt.Sprintf("Content-Range: bytes %d-%d/%d", from, to-1, size), `Content-Disposition: attachment; filename="<b onclick=alert(1)>.mp4"`}
		ask(t, http.MethodPut, s.URL("film"), content.Part(ranges.Range{Start: from, End: to}), fields, http.StatusAccepted, http.StatusCreated)
	}
	for _, r := range []ranges.Range{{Start: 0, End: 1e6}, {Start: 4e6 + 7, End: 7e6}, {Start: 9e6, End: 9e6 + 100}, {Start: 2e6, End: 4e6 + 7}} {
		send(r.Start, r.End)
		want := hundredths(t, s, "film")
		var got ranges.Set
		eventually(t, time.Minute, "the map is that of the server", func() bool {
			time.Sleep(200 * time.Millisecond) // the page is updated each second
			got = drawn(p, "receiving")
			return got.Equal(want) && !want.Empty()
		})
	}
	p.await("#receiving .name", "<b onclick=alert(1)>.mp4")
	p.await("#receiving", "60 %")
	p.await("#health", "This process works by itself.")
	send(0, size)
	p.await("#finished", "film")
	p.await("#receiving", "Nothing is being received.")
	p.await("#deliveries", "No app is configured.")
	s.Kill()
	p.await("#alert", "This node has not answered since")
}

// With the keyboard alone.
func TestAdminPageRetriesDeliveries(t *testing.T) {
	t.Parallel()
	app, err := NewApp()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	app.Be(func(Hook) Mood { return Refuses })
	s, admin := startAdmin(t, "--hook-url", app.URL(), "--hook-secret", HookSecret)
	for _, id := range []string{"first", "second"} {
		ask(t, http.MethodPut, s.URL(id), strings.NewReader("hello"), nil, http.StatusCreated)
	}
	p := openPage(t, admin+"/")
	p.await("#health", "2 dead-lettered")
	p.await("#deliveries", "first")
	p.do("evaluate", nil, `document.querySelector('#deliveries [aria-label="Retry the delivery of first"]').focus()`)
	p.do("press", nil, "Enter")
	p.await("#deliveries", "Failed: ")
	app.Be(func(Hook) Mood { return Takes })
	p.do("press", nil, "Enter") // the focus is still there
	p.await("#retried", "1 delivered, 0 not.")
	p.awaitTrue("!document.querySelector('#deliveries').innerText.includes('first')")
	p.do("click", nil, "#retry-all")
	p.await("#deliveries", "None is pending.")
	p.await("#health", "All delivered")
}

// adminStates yields what the page at an admin address is sent, until holds is true.
func adminStates(t *testing.T, admin, what string, holds func(text string) bool) {
	t.Helper()
	resp, err := http.DefaultClient.Do(request(t, http.MethodGet, admin+"/console/events", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, mib)
	last := ""
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if last = text; holds(text) {
				return
			}
		}
	}
	t.Fatalf("never: %s (%v); the last state: %s", what, lines.Err(), last)
}

func TestAdminPageShowsAllNodes(t *testing.T) {
	t.Parallel()
	first, _, redis := startOnS3(t, "--admin-listen", "127.0.0.1:0")
	second := &Server{Bin: first.Bin, Data: filepath.Join(t.TempDir(), "unused"), Wrap: first.Wrap, Args: slices.Clone(first.Args)}
	run(t, second)
	ask(t, http.MethodPut, second.URL("film"), strings.NewReader("hello"), []string{"Content-Range: bytes 0-4/10"}, http.StatusAccepted)
	adminStates(t, adminOf(t, first), "the upload of the other node", func(text string) bool {
		return strings.Contains(text, `"receiving":[{"id":"film"`) && strings.Count(text, `"curves"`) == 2
	})
	p := openPage(t, adminOf(t, first)+"/")
	p.await("#nodes", "in flight")
	p.await("#health", "2 nodes")
	p.await("#health", "Works on 2 nodes")
	redis.Kill()
	p.await("#health", "Others cannot be shown")
	p.await("#health", "Fails")
}
