package protocol

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/storage"
)

// The app gets the request as sent by the client, even if the server changes it later.
func TestRequestOfReturnsTheRequestAsReceived(t *testing.T) {
	r := httptest.NewRequest("PUT", "http://up.example/files/it?a=b", nil)
	r.Header.Set("X-Own", "as sent")
	ctx := WithRequest(context.Background(), r)
	r.Header.Set("X-Own", "changed")
	r.Header.Set("X-Added", "by the server")
	r.Method, r.RequestURI = "POST", "/other"
	got := RequestOf(ctx)
	if got.Method != "PUT" || got.URI != "http://up.example/files/it?a=b" || got.Header.Get("Host") != "up.example" {
		t.Errorf("%+v", got)
	}
	if got.Header.Get("X-Own") != "as sent" || got.Header.Get("X-Added") != "" || r.Header.Get("Host") != "" {
		t.Errorf("recorded %v, the request has %v", got.Header, r.Header)
	}
}

// Responses reveal no internals of the server: the cause is in the log only.
func TestAProblemDoesNotRevealItsCause(t *testing.T) {
	const inside = "dial tcp 10.0.0.7:9000: connection refused"
	for err, want := range map[error]int{
		storage.Unavailable("load", "it", errors.New(inside)):                503,
		fmt.Errorf("%w: %s", storage.ErrLocked, inside):                      423,
		fmt.Errorf("%w: %s", storage.ErrNoSpace, inside):                     507,
		fmt.Errorf("%w: %w", problem.ErrHookUnavailable, errors.New(inside)): 503,
		errors.New(inside): 500,
		fmt.Errorf("%w: %w", storage.ErrBodyAborted, errors.New(inside)):              503,
		fmt.Errorf("%w: %w: %s", storage.ErrGone, problem.ErrIdleTimeout, "a moment"): 410,
	} {
		var log bytes.Buffer
		p := FromError(httptest.NewRequest("PUT", "/files/it", nil), slog.New(slog.NewTextHandler(&log, nil)), err)
		if p.Status != want || strings.Contains(p.Message+p.Code, "10.0.0.7") {
			t.Errorf("%v: %+v, want %d", err, p, want)
		}
		if aborted := errors.Is(err, storage.ErrBodyAborted); strings.Contains(log.String(), "10.0.0.7") != (want >= 500 && !aborted) {
			t.Errorf("%v: the log has %q", err, log.String())
		}
	}
}
