package graph

import (
	"maps"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
)

func TestASessionBecomesTheRecordOfAnUpload(t *testing.T) {
	for _, c := range []struct {
		path, body string
		size       int64
		metadata   storage.Metadata
	}{
		{"/createUploadSession", "", storage.Unknown, storage.Metadata{}},
		{"/v1.0/me/drive/root:/Docs/v a.mp4:/createUploadSession", "{}", storage.Unknown, storage.Metadata{"filename": "v a.mp4"}},
		{"/v1.0/me/drive/items/7/createUploadSession", `{"item":{"@microsoft.graph.conflictBehavior":"rename","name":"v.mp4"}}`, storage.Unknown, storage.Metadata{"filename": "v.mp4"}},
		{"/drive/root:/a:/createUploadSession", `{"item":{"name":"b","description":"d","fileSize":7},"deferCommit":true}`, 7, storage.Metadata{"filename": "b", "description": "d"}},
		{"/me/messages/7/attachments/createUploadSession", `{"AttachmentItem":{"attachmentType":"file","name":"c.txt","contentType":"text/plain","size":9}}`, 9,
			storage.Metadata{"filename": "c.txt", "filetype": "text/plain"}},
		{"/createUploadSession", `{"item":{"fileSize":0}}`, storage.Unknown, storage.Metadata{}}, // is not known yet
	} {
		var s session
		if err := protocol.ReadJSON(strings.NewReader(c.body), &s); err != nil {
			t.Fatal(err)
		}
		if rec := s.record(c.path); rec.Size != c.size || !maps.Equal(rec.Metadata, c.metadata) {
			t.Errorf("%s %s: %d, %v", c.path, c.body, rec.Size, rec.Metadata)
		}
	}
}
