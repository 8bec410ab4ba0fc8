package config

import (
	"fmt"
	"io/fs"
	"strconv"
)

// FileMode holds the permissions of files, written in octal: 0640.
type FileMode fs.FileMode

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *FileMode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 8, 32)
	if err != nil || n > 0o777 {
		return fmt.Errorf("%q is not a file mode: three digits in octal, such as 0640", text)
	}
	if n&0o600 != 0o600 {
		return fmt.Errorf("%q does not let the server read and write its own files: 06.. is needed", text)
	}
	*m = FileMode(n)
	return nil
}
