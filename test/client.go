package test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// Client sends the chunks of one upload as a background URLSession does: each
// chunk is a request of its own, a broken one is made again, whole.
type Client struct {
	HTTP    *http.Client
	URL     string
	Content Content
	Header  http.Header // for every chunk, beside Content-Range
}

// Answer is what the server said to a request.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	State  State // the JSON in Body, if there is any
}

// State is the JSON that the server speaks of an upload.
type State struct {
	ID                 string    `json:"id"`
	Name               string    `json:"name"`
	Size               *int64    `json:"size"`
	Offset             int64     `json:"offset"`
	Complete           bool      `json:"complete"`
	Received           []string  `json:"received"`
	Missing            []string  `json:"missing"`
	NextExpectedRanges []string  `json:"nextExpectedRanges"`
	ExpirationDateTime time.Time `json:"expirationDateTime"`
}

// ContentRange is the field for a chunk of a file of the given size.
func ContentRange(r ranges.Range, total int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", r.Start, r.End-1, total)
}

// Put sends one chunk once.
func (c *Client) Put(ctx context.Context, r ranges.Range) (Answer, error) {
	header := c.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Content-Range", ContentRange(r, c.Content.Size))
	return c.send(ctx, r, header)
}

// PutUntilTaken sends one chunk until the server takes it: again after every
// broken connection, and after every answer that asks to come back later. Any
// other answer than a success is an error.
func (c *Client) PutUntilTaken(ctx context.Context, r ranges.Range) (Answer, error) {
	for {
		answer, err := c.Put(ctx, r)
		wait := 50 * time.Millisecond
		switch {
		case ctx.Err() != nil:
			return answer, ctx.Err()
		case errors.Is(err, ErrInformed):
			return answer, err
		case err == nil && answer.Status >= 500:
			wait = RetryAfter(answer.Header)
		case err == nil && (answer.Status < 200 || answer.Status > 299):
			return answer, fmt.Errorf("chunk %v: status %d: %s", r, answer.Status, answer.Body)
		case err == nil:
			return answer, nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// RetryAfter is how long the server asks to wait, but a second at most so that
// tests go on.
func RetryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil {
		return 50 * time.Millisecond
	}
	return min(time.Duration(seconds)*time.Second, time.Second)
}

// ErrInformed is the error for an informational answer other than 100, which a
// URLSession would take for that of a resumable upload.
var ErrInformed = errors.New("the server sent an informational answer")

func (c *Client) send(ctx context.Context, r ranges.Range, header http.Header) (Answer, error) {
	var informed error
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			if code != http.StatusContinue {
				informed = fmt.Errorf("%w: %d", ErrInformed, code)
			}
			return informed
		},
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, c.URL, c.Content.Part(r))
	if err != nil {
		return Answer{}, err
	}
	req.Header = header
	req.ContentLength = r.Len()
	answer, err := Do(c.HTTP, req)
	return answer, errors.Join(informed, err)
}

// Do sends a request and reads the whole answer.
func Do(client *http.Client, req *http.Request) (Answer, error) {
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	return ReadAnswer(resp)
}

// ReadAnswer reads the whole answer and closes its body.
func ReadAnswer(resp *http.Response) (Answer, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}
	isJSON := strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json")
	if isJSON && len(bytes.TrimSpace(body)) > 0 {
		err = json.Unmarshal(body, &answer.State)
	}
	return answer, err
}

// ParseRanges reads ranges as the server prints them: "0-99" holds 100 bytes.
func ParseRanges(list []string) (ranges.Set, error) {
	var set ranges.Set
	for _, text := range list {
		var first, last int64
		if _, err := fmt.Sscanf(text, "%d-%d", &first, &last); err != nil || last < first {
			return set, fmt.Errorf("not a range: %q", text)
		}
		set.Add(ranges.Range{Start: first, End: last + 1})
	}
	return set, nil
}
