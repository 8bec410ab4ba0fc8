package protocol

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(t *testing.T, s *httptest.Server, path string) (int, error) {
	t.Helper()
	resp, err := s.Client().Get(s.URL + path)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	return resp.StatusCode, err
}

func TestPanicIsLoggedAndAnswered500(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		var text bytes.Buffer
		panics := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/late" {
				_, _ = w.Write([]byte("half"))
				_ = http.NewResponseController(w).Flush()
			}
			panic("out of luck")
		})
		s := httptest.NewUnstartedServer(Router(CORS{}, Options{
			URLs: URLs{BasePath: "/files/"}, Elsewhere: panics, Log: slog.New(slog.NewTextHandler(&text, nil)),
		}))
		s.EnableHTTP2, s.Config.ErrorLog = http2, slog.NewLogLogger(slog.DiscardHandler, 0)
		s.StartTLS()
		if status, err := get(t, s, "/early"); err == nil && status != http.StatusInternalServerError || err != nil && !http2 {
			t.Errorf("HTTP/2 %t: answered %d, %v", http2, status, err)
		}
		// A response that has begun must not look complete.
		if _, err := get(t, s, "/late"); err == nil || !http2 && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("HTTP/2 %t: half a response is taken for a whole one: %v", http2, err)
		}
		s.Close()
		if log := text.String(); !strings.Contains(log, "out of luck") || !strings.Contains(log, "TestPanicIsLogged") {
			t.Errorf("HTTP/2 %t: the log says %s", http2, log)
		}
	}
}
