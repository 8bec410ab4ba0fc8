package ietf

import (
	"io"
)

// withholding reads content, and withholds its last byte until the content has ended with
// io.EOF. After any other error that byte is not returned.
type withholding struct {
	content io.Reader
	last    [1]byte
	hasLast bool
	err     error // why the content ended
}

// Read implements io.Reader.
func (w *withholding) Read(p []byte) (int, error) {
	for w.err == nil && len(p) > 0 {
		var n int
		if n, w.err = w.content.Read(p); n == 0 {
			continue
		}
		if n = w.withhold(p[:n]); n > 0 {
			return n, nil
		}
	}
	if w.err == io.EOF && w.hasLast && len(p) > 0 {
		w.hasLast = false
		return copy(p, w.last[:]), io.EOF
	}
	return 0, w.err
}

// withhold keeps the last byte of b and puts the one kept before at its beginning. It
// returns how many bytes are in b then.
func (w *withholding) withhold(b []byte) int {
	last, n := b[len(b)-1], len(b)-1
	if w.hasLast {
		n = len(b)
		copy(b[1:], b)
		b[0] = w.last[0]
	}
	w.last[0], w.hasLast = last, true
	return n
}
