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
