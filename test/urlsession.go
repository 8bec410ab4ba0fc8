package test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// URLSession sends a file as an upload task of URLSession does by the IETF draft: one POST
// of the whole file; after a break a HEAD of the URL from the 104, and a PATCH of all the
// rest. Header fields of the app are repeated in each. Any final response ends the task.
type URLSession struct {
	HTTP    *http.Client
	URL     string // where uploads are created
	Version int    // of Upload-Draft-Interop-Version
	Content Content
	Header  http.Header
	Proto   int           // the major version of HTTP that responses must have, if not 0
	PerMiB  time.Duration // pause for each mebibyte sent

	mu       sync.Mutex
	location string
}

// ErrTask is the error for a response that ends a task although nothing of it is wrong.
var ErrTask = errors.New("the task failed")

// Upload returns the URL from the 104, "" before it.
func (u *URLSession) Upload() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.location
}

// Run sends the file, and returns the response that ends the task.
func (u *URLSession) Run(ctx context.Context) (Answer, error) {
	for ctx.Err() == nil {
		answer, err := u.next(ctx)
		if err == nil || errors.Is(err, ErrTask) {
			return answer, err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return Answer{}, ctx.Err()
}

// next makes the next request that sends content, or begins again without a URL.
func (u *URLSession) next(ctx context.Context) (Answer, error) {
	complete := map[string]string{"Upload-Complete": "?1"}
	if u.Version == 3 {
		complete = map[string]string{"Upload-Incomplete": "?0"}
	}
	if u.Upload() == "" {
		return u.request(ctx, http.MethodPost, u.URL, u.Content.All(), complete)
	}
	state, err := u.request(ctx, http.MethodHead, u.Upload(), ranges.Range{}, nil)
	if err != nil {
		return state, err
	}
	offset, err := strconv.ParseInt(state.Header.Get("Upload-Offset"), 10, 64)
	if state.Status != http.StatusNoContent || err != nil || offset > u.Content.Size {
		return state, fmt.Errorf("%w: HEAD: %d %v", ErrTask, state.Status, state.Header)
	}
	complete["Upload-Offset"] = strconv.FormatInt(offset, 10)
	if u.Version >= 6 {
		complete["Content-Type"] = "application/partial-upload"
	}
	return u.request(ctx, http.MethodPatch, u.Upload(), ranges.Range{Start: offset, End: u.Content.Size}, complete)
}

// request makes a request with a range of the content.
func (u *URLSession) request(ctx context.Context, method, target string, r ranges.Range, fields map[string]string) (Answer, error) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: u.inform})
	var body io.Reader
	if r.Len() > 0 {
		body = &slowReader{src: u.Content.Part(r), perMiB: u.PerMiB}
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return Answer{}, err
	}
	req.ContentLength = r.Len()
	for name, values := range u.Header {
		req.Header[name] = values
	}
	for name, value := range fields {
		req.Header.Set(name, value)
	}
	req.Header.Set("Upload-Draft-Interop-Version", strconv.Itoa(u.Version))
	resp, err := u.HTTP.Do(req)
	if err != nil {
		return Answer{}, err
	}
	if u.Proto != 0 && resp.ProtoMajor != u.Proto {
		return Answer{}, fmt.Errorf("%w: %s", ErrTask, resp.Proto)
	}
	return ReadAnswer(resp)
}

// slowReader pauses for each mebibyte that is read.
type slowReader struct {
	src    io.Reader
	perMiB time.Duration
	n      int
}

func (s *slowReader) Read(p []byte) (int, error) {
	if s.n >= 1<<20 {
		s.n -= 1 << 20
		time.Sleep(s.perMiB)
	}
	n, err := s.src.Read(p)
	s.n += n
	return n, err
}

// inform takes the URL of the upload from a 104 of the same version.
func (u *URLSession) inform(code int, h textproto.MIMEHeader) error {
	if code != 104 || h.Get("Upload-Draft-Interop-Version") != strconv.Itoa(u.Version) || h.Get("Location") == "" {
		return nil
	}
	base, err := url.Parse(u.URL)
	if err != nil {
		return err
	}
	location, err := base.Parse(h.Get("Location"))
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.location = location.String()
	return nil
}
