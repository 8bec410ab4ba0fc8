package storage

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"unicode/utf8"
)

// Metadata is the client's description of its file, as names and values. Both are bytes,
// and are returned as they were sent, UTF-8 or not.
type Metadata map[string]string

// MarshalJSON implements json.Marshaler. Metadata is encoded as an object, or as a list
// of base64 pairs if a name or a value is not UTF-8, which JSON strings require.
func (m Metadata) MarshalJSON() ([]byte, error) {
	if m.isText() {
		return json.Marshal(map[string]string(m))
	}
	pairs := make([][2][]byte, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, [2][]byte{[]byte(name), []byte(m[name])})
	}
	return json.Marshal(pairs)
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *Metadata) UnmarshalJSON(text []byte) error {
	if !bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("[")) {
		return json.Unmarshal(text, (*map[string]string)(m))
	}
	var pairs [][2][]byte
	if err := json.Unmarshal(text, &pairs); err != nil {
		return err
	}
	*m = make(Metadata, len(pairs))
	for _, pair := range pairs {
		(*m)[string(pair[0])] = string(pair[1])
	}
	return nil
}

// isText reports whether all names and values are UTF-8.
func (m Metadata) isText() bool {
	for name, value := range m {
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return false
		}
	}
	return true
}
