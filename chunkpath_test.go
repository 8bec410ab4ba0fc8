package holdfast_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast"
	"github.com/holdfast-upload/holdfast/hooks/auth"
	"github.com/holdfast-upload/holdfast/hooks/limits"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// stackReader is the body of a request. It records the functions through which the first
// bytes are read.
type stackReader struct {
	io.Reader
	stack []string // innermost first
}

func (s *stackReader) Read(p []byte) (int, error) {
	if s.stack == nil {
		pcs := make([]uintptr, 200)
		frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
		for {
			frame, more := frames.Next()
			s.stack = append(s.stack, frame.Function)
			if !more {
				break
			}
		}
	}
	return s.Reader.Read(p)
}

// count returns how many functions of the stack are methods of this name.
func (s *stackReader) count(method string) (n int) {
	for _, name := range s.stack {
		if strings.HasSuffix(name, "."+method) {
			n++
		}
	}
	return n
}

// What is done to every request belongs into the Router or the Exchange, which are on the
// way of a chunk from net/http into the store already, and not into a further wrapper.
func TestAChunkPassesFewHandlersAndReaders(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	server, err := holdfast.New(holdfast.Options{
		Store:  storagetest.NewMemory(1 << 20),
		CORS:   protocol.CORS{Origins: []string{"https://app.example"}},
		Auth:   auth.Options{TicketSecrets: []string{secret}},
		Limits: limits.Options{UploadsPerMinute: 100, IncompleteUploads: 100, BytesPerDay: 1 << 30},
		Log:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		id, contentRange  string
		handlers, readers int // of the readers, the first is that of net/http
	}{
		"chunk":      {"chunked", "bytes 0-4/10", 3, 3},
		"whole file": {"whole", "", 3, 4},
	} {
		ticket, err := auth.Sign(secret, auth.Ticket{Upload: c.id, Create: true, Expires: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		body := &stackReader{Reader: strings.NewReader("hello")}
		r := httptest.NewRequest(http.MethodPut, "/files/"+c.id+"?ticket="+ticket, body)
		r.ContentLength = 5
		if c.contentRange != "" {
			r.Header.Set("Content-Range", c.contentRange)
		}
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		if w.Code >= 300 {
			t.Fatalf("%s: %d %s", name, w.Code, w.Body)
		}
		if n := body.count("ServeHTTP"); n != c.handlers {
			t.Errorf("a %s passes %d handlers, not %d:\n%s", name, n, c.handlers, strings.Join(body.stack, "\n"))
		}
		if n := body.count("Read"); n != c.readers {
			t.Errorf("a %s passes %d readers, not %d:\n%s", name, n, c.readers, strings.Join(body.stack, "\n"))
		}
	}
}
