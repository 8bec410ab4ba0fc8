package test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// putFile sends a whole file, without Content-Range.
func putFile(t *testing.T, url string, content Content, want ...int) Answer {
	t.Helper()
	return ask(t, http.MethodPut, url, content.Part(content.All()), []string{fmt.Sprintf("Content-Length: %d", content.Size)}, want...)
}

// streamFile sends a whole file, of which the server does not know the length before.
func streamFile(t *testing.T, url string, content Content, want ...int) Answer {
	t.Helper()
	return ask(t, http.MethodPut, url, io.MultiReader(content.Part(content.All())), nil, want...)
}

// beginFile sends the first n bytes of a whole file, and waits until they are there. The
// connection ends then.
func beginFile(t *testing.T, s *Server, id string, content Content, n int64, field string) {
	t.Helper()
	w := dial(t, s.Addr)
	w.send("PUT /files/"+id+" HTTP/1.1", "Host: "+s.Addr, field)
	text := string(content.Bytes(ranges.Of(0, n)))
	if strings.Contains(field, "chunked") {
		text = chunked(text)
	}
	w.write(text)
	w.end()
	eventually(t, 30*time.Second, "what came is kept", func() bool {
		a, err := Do(http.DefaultClient, request(t, http.MethodGet, s.URL(id), nil))
		return err == nil && a.Status == 200 && a.State.Offset == n
	})
}

// wholeFile is larger than what S3 stores in one piece.
var wholeFile = NewContent(90, 20*mib+7)

func lengthOf(c Content) string { return fmt.Sprintf("Content-Length: %d", c.Size) }

func TestF21AWholeFileGoesOnWhereItBrokeOff(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *Server) {
		for name, send := range map[string]func(*testing.T, string, Content, ...int) Answer{"of known length": putFile, "streamed": streamFile} {
			for _, field := range []string{lengthOf(wholeFile), "Transfer-Encoding: chunked"} {
				t.Run(name+", after one with "+strings.Fields(field)[1], func(t *testing.T) {
					url := s.URL(strings.ReplaceAll(name+strings.Fields(field)[1], " ", "-"))
					beginFile(t, s, idOf(url), wholeFile, 3*mib, field)
					wantDone(t, send(t, url, wholeFile, http.StatusCreated), newClient(s, idOf(url), wholeFile))
					wantFile(t, url, wholeFile)
					wantOneEvent(t, s, idOf(url), "finished")
				})
			}
		}
	})
}

// The answer was lost, or a client sends everything twice.
func TestF21AWholeFileAgainIsAnsweredAsTheFirstTime(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *Server) {
		for name, content := range map[string]Content{"empty": NewContent(0, 0), "small": small, "large": wholeFile} {
			t.Run(name, func(t *testing.T) {
				c := newClient(s, "again-"+name, content)
				first := putFile(t, c.URL, content, http.StatusCreated)
				for _, a := range []Answer{putFile(t, c.URL, content, 201), streamFile(t, c.URL, content, 201), putFile(t, c.URL, content, 201)} {
					wantDone(t, a, c)
					if !bytes.Equal(a.Body, first.Body) {
						t.Errorf("first %s, then %s", first.Body, a.Body)
					}
				}
				if content.Size > 0 {
					wantDone(t, put(t, c, ranges.Of(content.Size/2, content.Size-content.Size/2), 201), c)
				}
				wantFile(t, c.URL, content)
				wantOneEvent(t, s, idOf(c.URL), "finished")
			})
		}
	})
}

// However the upload was begun, a whole file of its size fills what is missing.
func TestF21AWholeFileFillsWhatIsMissing(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *Server) {
		size := fmt.Sprintf("Upload-Length: %d", wholeFile.Size)
		create := func(fields ...string) string {
			return ask(t, http.MethodPost, s.URL(""), nil, append(fields, tusVersion), 201).Header.Get("Location")
		}
		begin := map[string]func() string{
			"chunks": func() string {
				c := newClient(s, "chunks", wholeFile)
				put(t, c, ranges.Of(5*mib, 6*mib), 202)
				put(t, c, ranges.Of(17*mib, mib+1), 202)
				return c.URL
			},
			"chunks without a size": func() string {
				url := s.URL("sizeless")
				ask(t, http.MethodPut, url, wholeFile.Part(ranges.Of(mib, mib)), []string{fmt.Sprintf("Content-Range: bytes %d-%d/*", mib, 2*mib-1)}, 202)
				return url
			},
			"the last chunk without a size": func() string {
				url := s.URL("last-sizeless")
				last := ranges.Range{Start: 20 * mib, End: wholeFile.Size}
				ask(t, http.MethodPut, url, wholeFile.Part(last), []string{fmt.Sprintf("Content-Range: bytes %d-%d/*", last.Start, last.End-1)}, 202)
				return url
			},
			"tus":                func() string { return create(size) },
			"tus without a size": func() string { return create("Upload-Defer-Length: 1") },
			"tus with bytes": func() string {
				url := create(size)
				patch(t, url, wholeFile, ranges.Of(0, 6*mib), http.StatusNoContent)
				return url
			},
		}
		for name, begin := range begin {
			t.Run(name, func(t *testing.T) {
				url := begin()
				send := putFile
				if strings.HasPrefix(name, "tus") {
					send = streamFile
				}
				wantDone(t, send(t, url, wholeFile, http.StatusCreated), newClient(s, idOf(url), wholeFile))
				wantFile(t, url, wholeFile)
				wantDone(t, putFile(t, url, wholeFile, http.StatusCreated), newClient(s, idOf(url), wholeFile))
			})
		}
	})
}

// The notification has the file's digest, not that of the last client that sent one.
func TestF21AnotherFileIsRefusedAndTheFirstStays(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *Server) {
		for _, c := range []struct {
			name    string
			content Content
			others  []Content
		}{
			{"small", small, []Content{NewContent(1, 1000), NewContent(1, 999), NewContent(1, 1001), NewContent(1, 1), NewContent(0, 0)}},
			{"large", wholeFile, []Content{NewContent(91, wholeFile.Size), NewContent(90, 20*mib), NewContent(90, 21*mib)}},
		} {
			t.Run(c.name, func(t *testing.T) {
				url := s.URL("first-" + c.name)
				refused := func() {
					t.Helper()
					for _, other := range c.others {
						putFile(t, url, other, http.StatusConflict)
						streamFile(t, url, other, http.StatusConflict)
					}
				}
				beginFile(t, s, idOf(url), c.content, c.content.Size/2, lengthOf(c.content))
				refused()
				if state := status(t, url); state.Offset != c.content.Size/2 || len(state.Received) != 1 {
					t.Errorf("another file was stored: %+v", state)
				}
				putFile(t, url, c.content, http.StatusCreated)
				refused()
				restart(t, s)
				refused()
				putFile(t, url, c.content, http.StatusCreated)
				wantFile(t, url, c.content)
			})
		}
	})
}

// A stream that turns out longer or shorter than what was begun must not become its end.
func TestF21AStreamOfAnotherLengthStoresNothing(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *Server) {
		url := ask(t, http.MethodPost, s.URL(""), nil, []string{tusVersion, "Upload-Length: 1000"}, 201).Header.Get("Location")
		streamFile(t, url, NewContent(1, 1001), http.StatusConflict)
		streamFile(t, url, NewContent(1, 999), http.StatusConflict)
		if state := status(t, url); state.Offset != 0 {
			t.Errorf("the state is %+v", state)
		}
		streamFile(t, url, small, http.StatusCreated)
		wantFile(t, url, small)
	})
}

// A file that is sent again while it is still being sent takes the first one's place.
func TestF21AWholeFileSentAgainAtOnceIsOneFile(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *Server) {
		url := s.URL("at-once")
		w := dial(t, s.Addr)
		w.send("PUT /files/at-once HTTP/1.1", "Host: "+s.Addr, lengthOf(wholeFile))
		w.write(string(wholeFile.Bytes(ranges.Of(0, 2*mib)))) // and sends no more
		eventually(t, 30*time.Second, "the upload is there", func() bool {
			a, err := Do(http.DefaultClient, request(t, http.MethodGet, url, nil))
			return err == nil && a.Status == 200
		})
		putFile(t, url, wholeFile, http.StatusCreated)
		demand(t, w.answer(), http.StatusServiceUnavailable)
		wantFile(t, url, wholeFile)

		// Replays of a finished file do not stand in each other's way, however slow one is.
		slow := dial(t, s.Addr)
		slow.send("PUT /files/at-once HTTP/1.1", "Host: "+s.Addr, lengthOf(wholeFile), "Expect: 100-continue")
		demand(t, slow.answer(), http.StatusContinue)
		slow.write(string(wholeFile.Bytes(ranges.Of(0, mib))))
		putFile(t, url, wholeFile, http.StatusCreated)
		slow.write(string(wholeFile.Bytes(ranges.Range{Start: mib, End: wholeFile.Size})))
		demand(t, slow.answer(), http.StatusCreated)
	})
}

// What is there of an upload stays, so a file that differs in it is not the one at its URL.
func TestF21AFileIsNotSaidToBeStoredIfChunksOfAnotherWere(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *Server) {
		c := newClient(s, "another-begun", NewContent(1, 1000))
		put(t, c, ranges.Of(500, 100), http.StatusAccepted)
		putFile(t, c.URL, small, http.StatusConflict)
		putFile(t, c.URL, small, http.StatusConflict)
	})
}

// clientOf is a command that sends video.mp4 in its directory, and fails if that fails.
func clientOf(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	return cmd
}

// A retry of the client itself after a broken connection is the same request again.
func TestF21RealClientsThatComeAgainSucceed(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *Server) {
		dir := filepath.Dir(file(t, curlContent))
		retry := []string{"curl", "-sSf", "--retry", "3", "--retry-all-errors", "--retry-delay", "1"}
		clients := map[string][]string{
			"curl":               slices.Concat(retry, []string{"-T", "video.mp4"}),
			"curl no Expect":     slices.Concat(retry, []string{"-H", "Expect:", "-T", "video.mp4"}),
			"curl -C -":          slices.Concat(retry, []string{"-C", "-", "-T", "video.mp4"}),
			"curl --data-binary": slices.Concat(retry, []string{"-X", "PUT", "--data-binary", "@video.mp4"}),
			"curl chunked":       slices.Concat(retry, []string{"-H", "Transfer-Encoding: chunked", "-T", "video.mp4"}),
			"wget":               {"wget", "-nv", "-O", "-", "--tries", "4", "--waitretry", "1", "--method=PUT", "--body-file=video.mp4"},
		}
		for name, argv := range clients {
			for when, cut := range map[string]Cut{
				"the file breaks off": {After: 5 * mib},
				"the answer is lost":  {After: 30, Answer: true}, // not the 100 before it
			} {
				t.Run(name+", "+when, func(t *testing.T) {
					t.Parallel()
					id := strings.NewReplacer(" ", "", "-", "", ",", "").Replace(name + when)
					var connections atomic.Int32
					proxy := proxied(t, s, func() Cut {
						if connections.Add(1) > 1 {
							return Never
						}
						return cut
					})
					url := "http://" + proxy.Addr + "/files/" + id
					if out, err := clientOf(dir, argv[0], append(argv[1:], url)...).CombinedOutput(); err != nil {
						t.Fatalf("%v: %s", err, out)
					}
					wantFile(t, s.URL(id), curlContent)
					wantOneEvent(t, s, id, "finished")
					if out, err := clientOf(dir, argv[0], append(argv[1:], url)...).CombinedOutput(); err != nil {
						t.Errorf("once more: %v: %s", err, out)
					}
				})
			}
		}
	})
}

// The user stops a slow upload, and starts it again.
func TestF21CurlThatWasStoppedIsStartedAgain(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, s *Server) {
		dir := filepath.Dir(file(t, small))
		url := s.URL("stopped")
		stopped := clientOf(dir, "curl", "-sS", "-H", "Expect:", "--limit-rate", "100", "--max-time", "1", "-T", "video.mp4", url)
		if out, err := stopped.CombinedOutput(); err == nil {
			t.Fatalf("it was not stopped: %s", out)
		}
		curl(t, dir, http.StatusCreated, "-T", "video.mp4", url)
		wantFile(t, url, small)
	})
}

// The same holds for a stream with a Content-Range that leaves its end open.
func TestF21AStreamToTheEndIsTheReplayOfNoOtherLength(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i, field := range []string{"bytes 0-*/*", "bytes 0-*/1000"} {
		url := s.URL(fmt.Sprintf("stream-%d", i))
		send := func(size int64, want int) {
			t.Helper()
			ask(t, http.MethodPut, url, io.MultiReader(small.Part(ranges.Of(0, size))), []string{"Content-Range: " + field}, want)
		}
		send(1000, http.StatusCreated)
		send(1000, http.StatusCreated)
		send(999, http.StatusBadRequest)
		send(1, http.StatusBadRequest)
		wantFile(t, url, small)
	}
}
