package ietf

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
)

// maxMetadata is the maximum length of an Upload-Metadata header, in bytes.
const maxMetadata = 64 << 10

// metadata returns the description of the file in the headers of a creation: Upload-Metadata, as
// tus-js-client sends it in this protocol too, Content-Type and Content-Disposition.
func metadata(h http.Header) (storage.Metadata, error) {
	meta, err := tusMetadata(strings.Join(h.Values("Upload-Metadata"), ","))
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

// tusMetadata parses pairs of a key and an optional base64 value (tus 1.0, section
// Upload-Metadata).
func tusMetadata(text string) (storage.Metadata, error) {
	meta := storage.Metadata{}
	if len(text) > maxMetadata {
		return nil, fmt.Errorf("%w: Upload-Metadata exceeds %d bytes", storage.ErrBadRequest, maxMetadata)
	}
	if strings.TrimSpace(text) == "" {
		return meta, nil
	}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(pair), " ")
		decoded, err := base64.StdEncoding.DecodeString(value)
		if _, repeated := meta[key]; key == "" || repeated || err != nil {
			return nil, fmt.Errorf("%w: Upload-Metadata: %.100q is not a key and a value in base64", storage.ErrBadRequest, pair)
		}
		meta[key] = string(decoded)
	}
	return meta, nil
}
