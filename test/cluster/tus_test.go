package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/test"
)

// tus makes a request of the tus protocol to the upload.
func (u *upload) tus(ctx context.Context, method, url string, body io.Reader, header ...string) (test.Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return test.Answer{}, err
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if part, ok := body.(*io.SectionReader); ok {
		req.ContentLength = part.Size()
	}
	return test.Do(clientHTTP, req)
}

// create creates the upload, again if the answer does not come.
func (u *upload) create(ctx context.Context) error {
	for {
		answer, err := u.tus(ctx, http.MethodPost, u.c.balancer.URL+"/files/", nil, "Upload-Length", fmt.Sprint(u.content.Size))
		switch {
		case err == nil && answer.Status == http.StatusCreated:
			u.mu.Lock()
			defer u.mu.Unlock()
			u.url = answer.Header.Get("Location")
			return nil
		case err == nil && !comeBack(answer.Status):
			return fmt.Errorf("create: status %d: %s", answer.Status, answer.Body)
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("create: %w", err)
		}
	}
}

// patchTo sends the file chunk by chunk until a server has all below end.
func (u *upload) patchTo(ctx context.Context, end int64) error {
	offset, err := u.offset(ctx)
	for err == nil && offset < end {
		offset, err = u.patch(ctx, ranges.Range{Start: offset, End: min(offset+u.chunk, u.content.Size)})
	}
	return err
}

// patch sends a chunk, and returns the offset at which to go on.
func (u *upload) patch(ctx context.Context, r ranges.Range) (int64, error) {
	floor := u.floor()
	answer, err := u.tus(ctx, http.MethodPatch, u.address(), u.content.Part(r),
		"Upload-Offset", fmt.Sprint(r.Start), "Content-Type", "application/offset+octet-stream")
	switch {
	case err == nil && answer.Status == http.StatusNoContent:
		offset, err := offsetIn(answer)
		if err == nil && offset < r.End {
			err = fmt.Errorf("PATCH %v of %s was taken, but the offset is %d", r, u.id(), offset)
		}
		u.sawOffset(offset, floor, "the answer to a PATCH")
		return offset, err
	// A conflict: a request that was given up has gone further than was known.
	case err == nil && !comeBack(answer.Status) && answer.Status != http.StatusConflict:
		return 0, u.wrong("PATCH "+r.String()+" of", answer)
	}
	if err := pause(ctx); err != nil {
		return 0, fmt.Errorf("PATCH %v of %s: %w", r, u.id(), err)
	}
	return u.offset(ctx)
}

// offset asks where to go on until a server answers.
func (u *upload) offset(ctx context.Context) (int64, error) {
	for {
		offset, err := u.head(ctx, u.address())
		if !errors.Is(err, errLater) {
			return offset, err
		}
		if err := pause(ctx); err != nil {
			return 0, fmt.Errorf("HEAD %s: %w", u.id(), err)
		}
	}
}

// errLater: the state is not available now.
var errLater = errors.New("asked to come back")

// head asks once for the offset. Any answer but the offset, or 423, would make
// some client begin again from zero.
func (u *upload) head(ctx context.Context, url string) (int64, error) {
	floor := u.floor()
	answer, err := u.tus(ctx, http.MethodHead, url, nil)
	switch {
	case err != nil || answer.Status == http.StatusLocked:
		return 0, errLater
	case answer.Status != http.StatusOK:
		return 0, u.wrong(http.MethodHead, answer)
	}
	offset, err := offsetIn(answer)
	if err == nil {
		u.sawOffset(offset, floor, "the answer to a HEAD")
	}
	return offset, err
}

func offsetIn(answer test.Answer) (int64, error) {
	return strconv.ParseInt(answer.Header.Get("Upload-Offset"), 10, 64)
}
