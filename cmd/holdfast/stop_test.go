package main

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"
)

// trickle is a body that sends some bytes at a time, and does not end before the response.
func trickle(t *testing.T) io.Reader {
	r, w := io.Pipe()
	t.Cleanup(func() { r.Close() })
	go func() {
		for block := make([]byte, 512<<10); ; time.Sleep(20 * time.Millisecond) {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}()
	return r
}

// When the app stops an upload, the request that is sending it gets the app's response at
// once, as in tusd, and the upload is gone.
func TestTheAppsResponseEndsTheRequestsOfAStoppedUpload(t *testing.T) {
	const size = 1 << 40
	b := startBackend(t, respond(`{"StopUpload":true,"HTTPResponse":{"StatusCode":418,"Body":"not here","Header":{"X-Why":"quota"}}}`))
	cfg := hookedConfig(t, b, "post-receive")
	cfg.HookProgressInterval = time.Millisecond
	r := startHooked(t, cfg)
	create := []string{"Tus-Resumable", "1.0.0", "Upload-Length", strconv.Itoa(size)}
	url := do(t, h1(t), "POST", r.URL(), nil, create...).Header.Get("Location")
	bytesOf := func(offset string) []string {
		return []string{"Tus-Resumable", "1.0.0", "Upload-Offset", offset, "Content-Type", "application/offset+octet-stream"}
	}
	for name, send := range map[string]func() answer{
		"tus": func() answer { return do(t, h1(t), "PATCH", url, trickle(t), bytesOf("0")...) },
		"tus, at creation": func() answer {
			return do(t, h1(t), "POST", r.URL(), trickle(t), append(create, bytesOf("0")[4:]...)...)
		},
		"a chunk": func() answer {
			return do(t, h1(t), "PUT", r.URL()+"chunk", trickle(t), "Content-Range", "bytes 0-*/"+strconv.Itoa(size))
		},
		"IETF": func() answer {
			return do(t, h1(t), "POST", r.URL(), trickle(t), "Upload-Draft-Interop-Version", "6", "Upload-Complete", "?1")
		},
		"a file": func() answer { return do(t, h1(t), "PUT", r.URL()+"file", trickle(t)) },
	} {
		if a := send(); a.StatusCode != 418 || string(a.body) != "not here" || a.Header.Get("X-Why") != "quota" {
			t.Errorf("%s: %s %v %s", name, a.Status, a.Header, a.body)
		}
	}
	for _, url := range []string{url, r.URL() + "chunk", r.URL() + "file"} {
		eventually(t, "it is gone", func() bool { return do(t, h1(t), "GET", url, nil).StatusCode == http.StatusGone })
	}
}

// Without an HTTPResponse the client gets that of tusd. What is finished is not deleted: the
// response to post-receive may come after the last byte.
func TestAFinishedUploadIsNotStopped(t *testing.T) {
	b := startBackend(t, respond(`{"StopUpload":true}`))
	cfg := hookedConfig(t, b, "post-receive", "post-terminate")
	cfg.HookProgressInterval = time.Millisecond
	r := startHooked(t, cfg)
	do(t, h1(t), "PUT", r.URL()+"done", bytes.NewReader(randomBytes(1000)))
	eventually(t, "the app's response", func() bool { return r.log.find("app stopped the upload") != nil })
	if a := do(t, h1(t), "PUT", r.URL()+"other", trickle(t)); a.StatusCode != 400 || string(a.body) != "ERR_UPLOAD_STOPPED: upload has been stopped by server\n" {
		t.Errorf("%s %s", a.Status, a.body)
	}
	if a := do(t, h1(t), "GET", r.URL()+"done", nil); a.StatusCode != 200 || len(a.body) != 1000 {
		t.Errorf("the finished upload: %s with %d bytes", a.Status, len(a.body))
	}
}
