package test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// wantLater demands an answer that asks to come back.
func wantLater(t *testing.T, a Answer) {
	t.Helper()
	if a.Header.Get("Retry-After") == "" || a.Header.Get("Retry-After") == "0" {
		t.Errorf("Retry-After: %q", a.Header.Get("Retry-After"))
	}
}

func TestUploadsPerMinuteAreLimited(t *testing.T) {
	t.Parallel()
	s := guarded(t, "--limit-uploads-per-minute", "3")
	anna, bert := Bearer(Token("anna")), Bearer(Token("bert"))
	content := NewContent(21, 2000)
	c := newClient(s, "one", content)
	c.Header = http.Header{"Authorization": {"Bearer " + Token("anna")}}
	var wait sync.WaitGroup
	for _, r := range content.Chunks(100) { // its chunks all come first, and make one upload
		wait.Go(func() { put(t, c, r, 202, 201) })
	}
	wait.Wait()
	create := []string{tusVersion, "Upload-Length: 10"}
	ask(t, "POST", s.URL(""), nil, append(create, anna), 201)
	ask(t, "PUT", s.URL("three"), strings.NewReader("0123456789"), append(tenBytes, anna), 202)
	// A tus client gets 429; one that sends ranges would give up on it, and gets 503.
	wantLater(t, ask(t, "POST", s.URL(""), nil, append(create, anna), 429))
	wantLater(t, ask(t, "PUT", s.URL("four"), strings.NewReader("0123456789"), append(tenBytes, anna), 503))
	wantNothingOf(t, s, "four")
	ask(t, "PUT", s.URL("three"), strings.NewReader("abcdefghij"), []string{"Content-Range: bytes 10-19/20", anna}, 201)
	ask(t, "POST", s.URL(""), nil, append(create, bert), 201)
}

func TestLiveUploadsAreLimited(t *testing.T) {
	t.Parallel()
	s := guarded(t, "--limit-incomplete-uploads", "2", "--expire-after", "10s", "--sweep-interval", "200ms")
	anna := Bearer(Token("anna"))
	begin := func(id string, want int) {
		t.Helper()
		ask(t, "PUT", s.URL(id), strings.NewReader("0123456789"), append(tenBytes, anna), want)
	}
	begin("a", 202)
	begin("b", 202)
	begin("c", 503)
	wantLater(t, ask(t, "POST", s.URL(""), nil, []string{tusVersion, "Upload-Length: 10", anna}, 429))
	begin("a", 202)
	ask(t, "PUT", s.URL("a"), strings.NewReader("abcdefghij"), []string{"Content-Range: bytes 10-19/20", anna}, 201) // finished
	begin("d", 202)
	ask(t, "DELETE", s.URL("b"), nil, []string{anna}, 204)
	begin("e", 202)
	begin("f", 503)
	eventually(t, 40*time.Second, "what has expired does not count", func() bool {
		answer, err := Do(http.DefaultClient, request(t, "PUT", s.URL("f"), strings.NewReader("0123456789"), append(tenBytes, anna)...))
		return err == nil && answer.Status == 202
	})
	one := map[string]any{"holdfast": map[string]any{"maxLive": 1}}
	bert := Bearer(Token("bert", one))
	ask(t, "PUT", s.URL("g"), strings.NewReader("0123456789"), append(tenBytes, bert), 202)
	ask(t, "PUT", s.URL("h"), strings.NewReader("0123456789"), append(tenBytes, bert), 503)
}

// A client that wants an id that is another's is refused, and changes nothing of how
// much that one may do.
func TestStrangersRefusalDoesNotCountForTheOwner(t *testing.T) {
	t.Parallel()
	s := guarded(t, "--limit-incomplete-uploads", "1")
	anna, bert := Bearer(Token("anna")), Bearer(Token("bert"))
	for _, id := range []string{"one", "two"} {
		ask(t, "PUT", s.URL(id), strings.NewReader("0123456789"), append(tenBytes, anna), 202)
		for range 2 {
			ask(t, "PUT", s.URL(id), strings.NewReader("0123456789"), append(tenBytes, bert), 404)
		}
		ask(t, "PUT", s.URL("more"), strings.NewReader("0123456789"), append(tenBytes, anna), 503)
		ask(t, "PUT", s.URL(id), strings.NewReader("abcdefghij"), []string{"Content-Range: bytes 10-19/20", anna}, 201)
	}
	ask(t, "PUT", s.URL("berts"), strings.NewReader("0123456789"), append(tenBytes, bert), 202)
}

func TestJoinedBytesCountLikeSentOnes(t *testing.T) {
	t.Parallel()
	s := guarded(t, "--limit-bytes-per-day", "1000")
	anna := Bearer(Token("anna"))
	another := ask(t, "POST", s.URL(""), strings.NewReader(strings.Repeat("x", 100)),
		[]string{tusVersion, offsetBytes, "Upload-Length: 100", "Upload-Concat: partial", anna}, 201).Header.Get("Location")
	part := createTus(t, s, 100, "Upload-Concat: partial", anna)
	ask(t, "PATCH", part, strings.NewReader(strings.Repeat("x", 100)), []string{tusVersion, offsetBytes, "Upload-Offset: 0", anna}, 204)
	join := func(times, want int) Answer {
		t.Helper()
		concat := "Upload-Concat: final;" + strings.Repeat(part+" "+another+" ", times/2) + strings.Repeat(part, times%2)
		return ask(t, "POST", s.URL(""), nil, []string{tusVersion, concat, anna}, want)
	}
	join(11, 413) // more than a day's
	wantLater(t, join(9, 429))
	join(5, 201)
	wantLater(t, join(5, 429))
	join(3, 201)
	ask(t, "PUT", s.URL("sent"), strings.NewReader("0123456789"), append(tenBytes, anna), 503)
}

func TestBytesPerDayAreLimited(t *testing.T) {
	t.Parallel()
	s := guarded(t, "--limit-bytes-per-day", "1MiB")
	anna := http.Header{"Authorization": {"Bearer " + Token("anna")}}
	content := NewContent(22, 2*mib)
	c := newClient(s, "it", content)
	c.Header = anna
	put(t, c, ranges.Of(0, 600*kib), 202)
	// The body is read and dropped, so that a client which sends it gets the answer.
	began := time.Now()
	wantLater(t, put(t, c, ranges.Of(600*kib, 600*kib), 503))
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the refusal took %v", took)
	}
	put(t, c, ranges.Of(0, 2*mib), 413) // more than a day's
	url := createTus(t, s, content.Size, "Authorization: "+anna.Get("Authorization"))
	tus := patchRequest(t.Context(), url, content, ranges.Of(0, 600*kib))
	tus.Header.Set("Authorization", anna.Get("Authorization"))
	answer, err := Do(http.DefaultClient, tus)
	if err != nil {
		t.Fatal(err)
	}
	demand(t, answer, 429)
	wantLater(t, answer)

	// A body of unknown length is cut off where the day's bytes end.
	cut := http.Header{"Authorization": {"Bearer " + Token("bert")}}
	unknown := request(t, "PUT", s.URL("cut"), io.LimitReader(content.Part(content.All()), content.Size))
	unknown.Header = cut
	answer, err = Do(http.DefaultClient, unknown)
	if err == nil { // else the connection broke while the rest was being sent
		demand(t, answer, 503)
		wantLater(t, answer)
	}
	_, stored := headAs(t, s.URL("cut"), cut)
	if stored > mib {
		t.Errorf("%d bytes were stored", stored)
	}

	// What broke off counts with what came of it, not with what was to come.
	for range 5 {
		w := dial(t, s.Addr)
		w.send("PUT /files/it HTTP/1.1", "Host: "+s.Addr, "Authorization: "+anna.Get("Authorization"),
			"Content-Length: 307200", "Content-Range: "+ContentRange(ranges.Of(600*kib, 300*kib), content.Size))
		w.write(string(content.Bytes(ranges.Of(600*kib, kib))))
		time.Sleep(50 * time.Millisecond) // it is being read now
		w.reset()
	}
	eventually(t, 30*time.Second, "what was not sent is given back", func() bool {
		return put(t, c, ranges.Of(600*kib, 400*kib), 202, 503).Status == 202 // who is refused pays nothing
	})
	put(t, c, ranges.Of(1000*kib, 100*kib), 503)
}

// headAs asks for the offset of the upload of another owner.
func headAs(t *testing.T, url string, header http.Header) (Answer, int64) {
	t.Helper()
	req := request(t, "HEAD", url, nil, tusVersion)
	req.Header.Set("Authorization", header.Get("Authorization"))
	answer, err := Do(http.DefaultClient, req)
	if err != nil {
		t.Fatal(err)
	}
	offset, _ := strconv.ParseInt(answer.Header.Get("Upload-Offset"), 10, 64) // 0 if there is none
	return answer, offset
}

func TestWhoIsNotAskedIsLimitedByAddress(t *testing.T) {
	t.Parallel()
	from := func(address string) []string { return append(tenBytes, "X-Forwarded-For: "+address) }
	for _, c := range []struct {
		arg   string
		other int
	}{{"--trust-forwarded-headers", 202}, {"--no-trust-forwarded-headers", 503}} {
		s := start(t, c.arg, "--limit-uploads-per-minute", "1")
		ask(t, "PUT", s.URL("a"), strings.NewReader("0123456789"), from("6.6.6.6, 2001:db8::1"), 202)
		ask(t, "PUT", s.URL("b"), strings.NewReader("0123456789"), from("7.7.7.7, 2001:db8::2"), 503) // a neighbour in one network
		ask(t, "PUT", s.URL("c"), strings.NewReader("0123456789"), from("6.6.6.6, 192.0.2.1"), c.other)
	}
}

// Two nodes count together; each for itself while Redis is away; and no client is kept out
// because of that.
func TestNodesCountTogether(t *testing.T) {
	s3, redis := servers.S3(t), servers.Redis(t)
	t.Setenv("AWS_ACCESS_KEY_ID", servers.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", servers.SecretKey)
	node := func() *Server {
		return guarded(t, "--s3-bucket", "limits", "--s3-create-bucket", "--s3-endpoint", s3.URL("http"), "--s3-region", "us-east-1",
			"--s3-path-style", "--redis", redis.URL("redis"), "--limit-uploads-per-minute", "4", "--limit-incomplete-uploads", "3")
	}
	nodes := []*Server{node(), node()}
	anna := Bearer(Token("anna"))
	begin := func(node int, id string, want int) {
		t.Helper()
		ask(t, "PUT", nodes[node].URL(id), strings.NewReader("0123456789"), append(tenBytes, anna), want)
	}
	begin(0, "a", 202)
	begin(1, "b", 202)
	begin(0, "c", 202)
	begin(1, "d", 503) // three live ones
	ask(t, "PUT", nodes[1].URL("a"), strings.NewReader("abcdefghij"), []string{"Content-Range: bytes 10-19/20", anna}, 201)
	begin(1, "d", 202)
	ask(t, "DELETE", nodes[0].URL("d"), nil, []string{anna}, 204)
	begin(0, "e", 503) // four in this minute
	redis.Kill()
	begin(0, "e", 202)
	begin(1, "f", 202)
}

// Many come at once, with tokens, tickets and limits, and no client is kept out.
// Through tokens, tickets, limits and hooks: the app is asked twice about each upload,
// and learns of it.
func TestFiveHundredUploadsAtOnceComeThrough(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	s := guarded(t, "--limit-uploads-per-minute", "1000", "--limit-incomplete-uploads", "1000", "--limit-bytes-per-day", "1GiB", "--ticket-ttl", "1h",
		"--hook-url", app.URL(), "--hook-secret", HookSecret, "--hook-events", "pre-create,pre-finish,post-finish")
	const uploads, people = 500, 10
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 200, MaxConnsPerHost: 200}}
	t.Cleanup(client.CloseIdleConnections)
	took := make([]time.Duration, uploads)
	began := time.Now()
	var wait sync.WaitGroup
	for i := range uploads {
		wait.Go(func() {
			start := time.Now()
			c := &Client{HTTP: client, URL: s.URL(fmt.Sprintf("load-%d", i)), Content: NewContent(uint64(i), 64*kib)}
			c.Header = http.Header{"Authorization": {"Bearer " + Token(fmt.Sprint("subject-", i%people))}}
			first := put(t, c, ranges.Of(0, 32*kib), 202)
			c.URL, c.Header = uploadURL(t, first), nil
			put(t, c, ranges.Of(32*kib, 32*kib), 201)
			took[i] = time.Since(start)
		})
	}
	wait.Wait()
	all := time.Since(began)
	slices.Sort(took)
	t.Logf("%d uploads of 64 KiB by %d subjects in %v: %.0f a second; median %v, 99%% within %v",
		uploads, people, all.Round(time.Millisecond), uploads/all.Seconds(), took[uploads/2].Round(time.Millisecond), took[uploads*99/100].Round(time.Millisecond))
	if all > time.Minute {
		t.Errorf("it took %v", all)
	}
	received := 0
	eventually(t, 30*time.Second, "the app is notified of all", func() bool {
		took := app.Took()
		received = 0
		for i := range uploads {
			received += min(1, took[fmt.Sprintf("load-%d.finished", i)])
		}
		return received == uploads
	})
	t.Logf("the app was notified of %d after another %v", received, (time.Since(began) - all).Round(time.Millisecond))
	if wrong := app.Wrong(); len(wrong) > 0 {
		t.Errorf("hooks that are not to be believed: %v", wrong)
	}
}
