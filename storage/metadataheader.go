package storage

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// MaxMetadata is the maximum size of an upload's metadata in bytes, as the Upload-Metadata
// header of tus lists them: with values in base64. Responses carry that header through
// proxies, and the metadata of incomplete uploads are kept in memory.
const MaxMetadata = 64 << 10

// ErrMetadataTooLarge: the metadata exceed MaxMetadata.
var ErrMetadataTooLarge = errors.New("the metadata of the upload are too large")

// Header returns the value of an Upload-Metadata header (tus 1.0, section Upload-Metadata)
// with the metadata, sorted by key. Entries whose key that header cannot express are left
// out.
func (m Metadata) Header() string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if key != "" && !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' || r == ',' }) {
			pairs = append(pairs, key+" "+base64.StdEncoding.EncodeToString([]byte(m[key])))
		}
	}
	return strings.Join(pairs, ",")
}

// ParseMetadata parses the value of an Upload-Metadata header (tus 1.0, section
// Upload-Metadata): comma-separated pairs of a key and an optional base64 value, with unique
// keys. Creation bounds its size.
//
// Errors: ErrBadRequest.
func ParseMetadata(header string) (Metadata, error) {
	meta := Metadata{}
	if strings.TrimSpace(header) == "" {
		return meta, nil
	}
	for pair := range strings.SplitSeq(header, ",") {
		key, text, _ := strings.Cut(strings.TrimSpace(pair), " ")
		if _, repeated := meta[key]; key == "" || repeated {
			return nil, fmt.Errorf("%w: Upload-Metadata: empty or duplicate key", ErrBadRequest)
		}
		value, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("%w: Upload-Metadata: the value of %.100q is not base64", ErrBadRequest, key)
		}
		meta[key] = string(value)
	}
	return meta, nil
}

// headerLength returns the length of Header, if no entry is left out.
func (m Metadata) headerLength() int {
	length := 0
	for key, value := range m {
		length += len(key) + len(" ,") + base64.StdEncoding.EncodedLen(len(value))
	}
	return max(0, length-len(","))
}

func checkMetadata(m Metadata) error {
	if n := m.headerLength(); n > MaxMetadata {
		return fmt.Errorf("%w: %d bytes in base64, at most %d are allowed", ErrMetadataTooLarge, n, MaxMetadata)
	}
	return nil
}
