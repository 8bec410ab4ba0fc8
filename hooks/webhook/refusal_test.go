package webhook

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	tusd "github.com/tus/tusd/v2/pkg/hooks"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/storage"
)

// An app that responds to a blocking hook with a final 4xx refuses: the client gets that
// response, and does not come back for ever.
func TestAStatusOf4xxRefusesTheUpload(t *testing.T) {
	long := strings.Repeat("x", maxResponse+1)
	for status, c := range map[int]struct{ body, typ, want string }{
		401: {`{"why":"who are you"}`, "application/json", `{"why":"who are you"}`},
		403: {"quota exceeded", "text/plain", "quota exceeded"},
		404: {"", "", "ERR_UPLOAD_REJECTED: upload creation has been rejected by server\n"},
		413: {long, "text/plain", "ERR_UPLOAD_REJECTED: upload creation has been rejected by server\n"},
	} {
		for _, event := range []tusd.HookType{tusd.HookPreCreate, tusd.HookPreFinish} {
			app := &fakeApp{answer: func(int, received) (int, http.Header, string, error) {
				return status, http.Header{"Content-Type": {c.typ}, "Set-Cookie": {"a=b"}}, c.body, nil
			}}
			n := startNode(t, options(app, event), newMemory(), &storage.MemoryLocker{})
			_, err := n.tryUpload(t.Context(), storage.Record{ID: "a", Size: 5})
			var got *problem.Rejection
			if !errors.As(err, &got) || storage.Transient(err) || got.Status != status || got.Body != c.want || got.Header["Set-Cookie"] != "" {
				t.Errorf("%s, %d: %v", event, status, err)
				continue
			}
			if c.typ != "" && got.Header["Content-Type"] != c.typ {
				t.Errorf("%s, %d: Content-Type %q", event, status, got.Header["Content-Type"])
			}
			if n := len(app.received()); n != 1 {
				t.Errorf("%s, %d: asked %d times", event, status, n)
			}
		}
	}
}
