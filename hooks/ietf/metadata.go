package ietf

import (
	"net/http"
	"strings"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
)

// metadata returns the description of the file in the headers of a creation: Upload-Metadata, as
// tus-js-client sends it in this protocol too, Content-Type and Content-Disposition.
func metadata(h http.Header) (storage.Metadata, error) {
	meta, err := storage.ParseMetadata(strings.Join(h.Values("Upload-Metadata"), ","))
	if err != nil {
		return nil, err
	}
	if typ := mediaType(h); typ != "" && typ != partialUpload && typ != "application/x-www-form-urlencoded" {
		meta["filetype"] = typ
	}
	if name := protocol.Filename(h); name != "" {
		meta["filename"] = name
	}
	return meta, nil
}
