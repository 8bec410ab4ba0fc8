package webhook

import (
	"maps"

	"github.com/holdfast-upload/holdfast/storage"
)

// Metadata are bytes, and JSON is text: in MetaData each byte that is not UTF-8 becomes
// U+FFFD. The bytes of these entries are in MetaDataBase64, beside "Event".

// binaryMetadata returns the entries of metadata that are not UTF-8, by their name in
// MetaData.
func binaryMetadata(m storage.Metadata) map[string][]byte {
	var out map[string][]byte
	for name, value := range m {
		if asText(value) != value || asText(name) != name {
			if out == nil {
				out = map[string][]byte{}
			}
			out[asText(name)] = []byte(value)
		}
	}
	return out
}

// asText returns s as encoding/json encodes it: with U+FFFD for bytes that are not UTF-8.
func asText(s string) string { return string([]rune(s)) }

// changedMetadata returns the metadata that the app requests. An entry that the app returns
// as it was sent keeps its original bytes.
func changedMetadata(before storage.Metadata, requested map[string]string) storage.Metadata {
	out := storage.Metadata(maps.Clone(requested))
	for name, value := range before {
		sent := asText(name)
		if text, ok := requested[sent]; ok && text == asText(value) {
			delete(out, sent)
			out[name] = value
		}
	}
	return out
}
