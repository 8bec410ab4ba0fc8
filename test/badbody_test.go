package test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// putHead is the head of a PUT for the bytes 10 to 59 of a victim.
func putHead(v *victim, more ...string) []string {
	return append([]string{"PUT /files/" + v.id + " HTTP/1.1", "Host: " + v.server.Addr, "Content-Range: bytes 10-59/100"}, more...)
}

// declared is the range of putHead.
var declared = ranges.Of(10, 50)

// body is the first n bytes of what putHead declares, and more if n is more.
func (v *victim) body(n int64) string {
	return string(v.content.Bytes(ranges.Of(10, min(n, 90)))) + strings.Repeat("x", int(max(0, n-90)))
}

func chunked(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }

// TestF15 sends more, or fewer, bytes than a chunk declared.
func TestF15ABodyUnlikeItsRangeIsRefusedAndNothingOutsideIsStored(t *testing.T) {
	t.Parallel()
	s := start(t)
	const te = "Transfer-Encoding: chunked"
	end := "0\r\n\r\n"
	tests := map[string]struct {
		field string
		send  func(v *victim, w *wire)
		want  []int // none: the client is gone, or gets no answer
	}{
		"Content-Length below the range": {"Content-Length: 40", func(v *victim, w *wire) { w.write(v.body(40)) }, []int{400}},
		"Content-Length above the range": {"Content-Length: 60", func(v *victim, w *wire) { w.write(v.body(60)) }, []int{400}},
		"no length at all":               {"X-Nothing: 1", func(v *victim, w *wire) { w.end() }, []int{400}},
		"ends by FIN":                    {"Content-Length: 50", func(v *victim, w *wire) { w.write(v.body(30)); w.end() }, []int{503, 400}},
		"ends by FIN without a byte":     {"Content-Length: 50", func(v *victim, w *wire) { w.end() }, []int{503, 400}},
		"ends by reset":                  {"Content-Length: 50", func(v *victim, w *wire) { w.write(v.body(30)); w.reset() }, nil},
		"chunked, shorter":               {te, func(v *victim, w *wire) { w.write(chunked(v.body(30)) + end) }, []int{400}},
		"chunked, empty":                 {te, func(v *victim, w *wire) { w.write(end) }, []int{400}},
		"chunked, longer by one":         {te, func(v *victim, w *wire) { w.write(chunked(v.body(51)) + end) }, []int{400}},
		"chunked, beyond the total":      {te, func(v *victim, w *wire) { w.write(chunked(v.body(200)) + end) }, []int{400}},
		"chunked, ends by FIN":           {te, func(v *victim, w *wire) { w.write(chunked(v.body(30))); w.end() }, []int{503, 400}},
		"chunked, ends by reset":         {te, func(v *victim, w *wire) { w.write(chunked(v.body(30))); w.reset() }, nil},
		"chunked, nonsense for a length": {te, func(v *victim, w *wire) { w.write(chunked(v.body(30)) + "zz\r\nabc") }, []int{503, 400}},
		"chunked, ends within a chunk":   {te, func(v *victim, w *wire) { w.write("32\r\n" + v.body(20)); w.end() }, []int{503, 400}},
	}
	n := 0
	for name, tt := range tests {
		n++
		t.Run(name, func(t *testing.T) {
			v := newVictim(t, s, fmt.Sprintf("f15-%d", n))
			w := dial(t, s.Addr)
			w.send(putHead(v, tt.field)...)
			tt.send(v, w)
			if len(tt.want) > 0 {
				demand(t, w.answer(), tt.want...)
			}
			v.survives(declared)
		})
	}
}

func TestF15AChunkedBodyOfTheRightLengthIsTaken(t *testing.T) {
	t.Parallel()
	s := start(t)
	v := newVictim(t, s, "chunked")
	w := dial(t, s.Addr)
	w.send(putHead(v, "Transfer-Encoding: chunked")...)
	w.write(chunked(v.body(50)[:20]) + chunked(v.body(50)[20:]) + "0\r\n\r\n")
	demand(t, w.answer(), http.StatusAccepted)
	if have := received(t, v.url()); !have.Equal(ranges.NewSet(ranges.Of(0, 60))) {
		t.Errorf("received %v", have)
	}
	v.survives(declared)
}

// A wrong body must not leave bytes where the right ones belong: the first bytes
// stored at an offset stay.
func TestF15BytesOfARefusedBodyDoNotStandInTheWay(t *testing.T) {
	t.Parallel()
	s := start(t)
	for name, field := range map[string]string{"too long": "Content-Length: 60", "too short": "Content-Length: 40"} {
		t.Run(name, func(t *testing.T) {
			v := newVictim(t, s, "wrong-"+strings.ReplaceAll(name, " ", "-"))
			w := dial(t, s.Addr)
			w.send(putHead(v, field)...)
			w.write(strings.Repeat("x", 60))
			demand(t, w.answer(), http.StatusBadRequest)
			v.survives(nothing)
		})
	}
	t.Run("chunked and too long", func(t *testing.T) {
		v := newVictim(t, s, "wrong-chunked")
		w := dial(t, s.Addr)
		w.send(putHead(v, "Transfer-Encoding: chunked")...)
		w.write(chunked(strings.Repeat("x", 60)) + "0\r\n\r\n")
		demand(t, w.answer(), http.StatusBadRequest)
		v.survives(nothing)
	})
}

func TestTruncatedHeadersLeaveNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	v := newVictim(t, s, "truncated")
	files := listing(t, s.Data)
	head := strings.Join(putHead(v, "Content-Length: 50"), "\r\n") + "\r\n\r\n"
	for n := 0; n < len(head); n += 7 {
		w := dial(t, s.Addr)
		w.write(head[:n])
		w.end()
		// A half request is answered with a refusal, or with a closed connection.
		if b, err := w.in.Peek(12); err == nil && !strings.HasPrefix(string(b), "HTTP/1.1 4") {
			t.Errorf("after %d bytes: %s", n, b)
		}
	}
	if now := listing(t, s.Data); len(now) != len(files) {
		t.Errorf("files appeared: %v", now)
	}
	v.survives(nothing)
}

func TestGzipIsRefusedAsABodyAndAsAHead(t *testing.T) {
	t.Parallel()
	s := start(t)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	fmt.Fprint(z, strings.Repeat("a", 50))
	z.Close()

	t.Run("a chunk", func(t *testing.T) {
		v := newVictim(t, s, "gzip-chunk")
		ask(t, http.MethodPut, v.url(), bytes.NewReader(zipped.Bytes()), []string{
			"Content-Range: bytes 10-59/100", "Content-Encoding: gzip"}, http.StatusUnsupportedMediaType)
		v.survives(nothing)
	})
	t.Run("a whole file", func(t *testing.T) {
		ask(t, http.MethodPut, s.URL("gzip-file"), bytes.NewReader(zipped.Bytes()),
			[]string{"Content-Encoding: gzip"}, http.StatusUnsupportedMediaType)
		ask(t, http.MethodGet, s.URL("gzip-file"), nil, nil, http.StatusNotFound)
	})
	t.Run("the head", func(t *testing.T) {
		w := dial(t, s.Addr)
		w.write(zipped.String() + "\r\n\r\n")
		w.end()
		demand(t, w.answer(), http.StatusBadRequest)
	})
}

// Edge case 20: a client that asks first gets 100 Continue, or a refusal
// without having sent its body.
func TestExpectContinueIsGrantedOrRefusedBeforeTheBody(t *testing.T) {
	t.Parallel()
	s := start(t, "--max-size", "1000")
	expect := []string{"Expect: 100-continue", "Content-Length: 50"}
	t.Run("granted", func(t *testing.T) {
		v := newVictim(t, s, "granted")
		w := dial(t, s.Addr)
		w.send(putHead(v, expect...)...)
		demand(t, w.answer(), http.StatusContinue)
		w.write(v.body(50))
		demand(t, w.answer(), http.StatusAccepted)
		v.survives(declared)
	})
	refused := map[string]struct {
		path, field string
		want        int
	}{
		"malformed":  {"/files/refused", "Content-Range: bytes 59-10/100", 400},
		"mismatch":   {"/files/refused", "Content-Range: bytes 10-58/100", 400},
		"too large":  {"/files/refused", "Content-Range: bytes 10-59/1001", 413},
		"a bad id":   {"/files/.refused", "Content-Range: bytes 10-59/100", 400},
		"no such id": {"/files/none", "Upload-Offset: 0\r\nTus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream", 404},
	}
	for name, tt := range refused {
		t.Run(name, func(t *testing.T) {
			method := "PUT "
			if tt.want == 404 {
				method = "PATCH "
			}
			w := dial(t, s.Addr)
			w.send(append([]string{method + tt.path + " HTTP/1.1", "Host: " + s.Addr, tt.field}, expect...)...)
			demand(t, w.answer(), tt.want)
		})
	}
}

// A phone that is still sending when it is answered must see the answer, not a
// reset connection, after which it would send the chunk again, for ever.
func TestAnAnswerReachesAClientThatIsStillSending(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := NewContent(8, 40*mib)
	c := newClient(s, "asked", content)
	for _, r := range content.Chunks(10 * mib) {
		put(t, c, r, http.StatusAccepted, http.StatusCreated)
	}
	chunk := content.Bytes(ranges.Of(0, 30*mib))
	sendAll := func(t *testing.T, contentRange string) Answer {
		t.Helper()
		w := dial(t, s.Addr)
		w.send("PUT /files/asked HTTP/1.1", "Host: "+s.Addr, "Content-Range: "+contentRange, fmt.Sprintf("Content-Length: %d", len(chunk)))
		for piece := range slices.Chunk(chunk, mib) {
			if _, err := w.conn.Write(piece); err != nil {
				break // it was answered by then
			}
			time.Sleep(5 * time.Millisecond)
		}
		return w.answer() // fails if that was lost with the connection
	}
	t.Run("a replayed chunk", func(t *testing.T) {
		demand(t, sendAll(t, ContentRange(ranges.Of(0, 30*mib), content.Size)), http.StatusCreated)
	})
	t.Run("a refused chunk", func(t *testing.T) {
		demand(t, sendAll(t, ContentRange(ranges.Of(0, 30*mib), content.Size+1)), http.StatusBadRequest)
	})
	t.Run("a chunk for nothing", func(t *testing.T) {
		remove(t, s, "asked")
		demand(t, sendAll(t, ContentRange(ranges.Of(0, 30*mib), content.Size)), http.StatusGone)
	})
}

func TestAStalledClientIsCutOffAndWhatItSentIsKept(t *testing.T) {
	t.Parallel()
	s := start(t, "--idle-timeout", "1s")
	v := newVictim(t, s, "stalled")
	w := dial(t, s.Addr)
	w.send(putHead(v, "Content-Length: 50")...)
	w.write(v.body(30))
	began := time.Now()
	demand(t, w.answer(), http.StatusServiceUnavailable, http.StatusRequestTimeout)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("cut off only after %v", took)
	}
	if have := received(t, v.url()); !have.Equal(ranges.NewSet(ranges.Of(0, 40))) {
		t.Errorf("received %v, sent 0-39", have)
	}
	v.survives(declared)
}
