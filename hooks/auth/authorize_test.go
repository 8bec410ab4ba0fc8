package auth_test

import (
	"errors"
	"testing"

	"github.com/holdfast-upload/holdfast/hooks/auth"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
)

// Partial uploads are served too, with the content type they declare.
func TestContentTypesAreCheckedOnPartialUploadsToo(t *testing.T) {
	ctx := protocol.WithPrincipal(t.Context(), protocol.Principal{Subject: "anna", Limits: protocol.Limits{ContentTypes: []string{"image/*"}}})
	for _, c := range []struct {
		partial bool
		meta    map[string]string
		ok      bool
	}{
		{false, map[string]string{"filetype": "image/png"}, true},
		{false, map[string]string{"filetype": "text/html"}, false},
		{false, nil, false},
		{true, map[string]string{"filetype": "image/png"}, true},
		{true, map[string]string{"filetype": "text/html"}, false},
		{true, map[string]string{"type": "text/html"}, false},
		{true, map[string]string{"filetype": "no type"}, true}, // an invalid type is ignored
		{true, nil, true},
	} {
		err := auth.BeforeCreate(ctx, &storage.Record{ID: "a", Size: 5, Partial: c.partial, Metadata: c.meta})
		if (err == nil) != c.ok || err != nil && !errors.Is(err, storage.ErrForbidden) {
			t.Errorf("partial %v, %v: %v", c.partial, c.meta, err)
		}
	}
}
