package webhook

import (
	"maps"

	"github.com/holdfast-upload/holdfast/storage"
)

// Metadata are bytes, and JSON is text: in MetaData each byte that is not UTF-8 becomes
// U+FFFD. The bytes of these entries are in MetaDataBase64, beside "Event".

// binaryMetadata are the entries of metadata that are not UTF-8, by the name in MetaData.
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

// asText is what encoding/json makes of s.
func asText(s string) string { return string([]rune(s)) }

// changedMetadata are the metadata that the app asks for. An entry that it returns as it
// was shown keeps its bytes.
func changedMetadata(before storage.Metadata, asked map[string]string) storage.Metadata {
	out := storage.Metadata(maps.Clone(asked))
	for name, value := range before {
		shown := asText(name)
		if text, ok := asked[shown]; ok && text == asText(value) {
			delete(out, shown)
			out[name] = value
		}
	}
	return out
}
