package graph

import (
	"path"
	"strings"

	"github.com/holdfast-upload/holdfast/storage"
)

// action is the last element of the path with which a session is created.
const action = "/createUploadSession"

// ServesPath reports whether a URL path is one at which sessions are created, which is
// outside of the base path.
func ServesPath(path string) bool { return strings.HasSuffix(path, action) }

// session is the JSON with which a session is created. Other fields are ignored, among them
// conflictBehavior: no file is ever replaced.
type session struct {
	Item struct {
		Name        string `json:"name"`
		Description string `json:"description"`
		FileSize    int64  `json:"fileSize"` // bytes, 0 if it is not known
	} `json:"item"`
	AttachmentItem struct { // of a message or an event
		Name        string `json:"name"`
		ContentType string `json:"contentType"`
		Size        int64  `json:"size"`
	} `json:"AttachmentItem"`
}

// record returns the record of a new upload. The size stays unknown if it is not given; the
// first chunk has it.
func (s session) record(urlPath string) storage.Record {
	rec := storage.Record{Size: storage.Unknown, Metadata: storage.Metadata{}}
	for _, size := range []int64{s.Item.FileSize, s.AttachmentItem.Size} {
		if size > 0 {
			rec.Size = size
		}
	}
	for _, m := range []struct{ name, value string }{
		{"filename", nameInPath(urlPath)}, {"filename", s.AttachmentItem.Name}, {"filename", s.Item.Name},
		{"filetype", s.AttachmentItem.ContentType}, {"description", s.Item.Description},
	} {
		if m.value != "" {
			rec.Metadata[m.name] = m.value
		}
	}
	return rec
}

// nameInPath returns the name of the file in "…:/folder/name:/createUploadSession", "" if
// the file has none there.
func nameInPath(urlPath string) string {
	before, ok := strings.CutSuffix(urlPath, ":"+action)
	if !ok {
		return ""
	}
	return path.Base(before)
}
