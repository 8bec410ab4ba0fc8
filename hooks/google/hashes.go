package google

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// hashes are those that a client gives for a whole file. Each may be nil.
type hashes struct {
	crc32c *crc32c.Sum
	md5    []byte
}

// parseHashes parses X-Goog-Hash: "crc32c=BASE64", "md5=BASE64", or both.
func parseHashes(h http.Header) (found hashes, err error) {
	for item := range strings.SplitSeq(strings.Join(h.Values("X-Goog-Hash"), ","), ",") {
		algorithm, text, _ := strings.Cut(strings.TrimSpace(item), "=")
		switch algorithm {
		case "crc32c":
			err = found.add(text, "")
		case "md5":
			err = found.add("", text)
		}
		if err != nil {
			return found, fmt.Errorf("X-Goog-Hash: %w", err)
		}
	}
	return found, nil
}

// add adds hashes in base64, unless they are empty.
func (h *hashes) add(crc, md string) error {
	if crc != "" {
		sum, ok := crc32c.Parse(crc)
		if !ok {
			return fmt.Errorf("%w: crc32c must be 4 bytes in base64", storage.ErrBadRequest)
		}
		h.crc32c = &sum
	}
	if md == "" {
		return nil
	}
	var err error
	if h.md5, err = base64.StdEncoding.DecodeString(md); err != nil || len(h.md5) != md5.Size {
		return fmt.Errorf("%w: md5 must be %d bytes in base64", storage.ErrBadRequest, md5.Size)
	}
	return nil
}

// verifier is a reader that computes the hashes to be verified.
type verifier struct {
	src  io.Reader
	want hashes
	n    int64 // bytes read
	crc  crc32c.Sum
	md5  hash.Hash // nil if it is not wanted
}

func newVerifier(src io.Reader, want hashes) *verifier {
	v := &verifier{src: src, want: want}
	if want.md5 != nil {
		v.md5 = md5.New()
	}
	return v
}

// Read implements io.Reader.
func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.src.Read(p)
	v.n += int64(n)
	if v.want.crc32c != nil {
		v.crc = v.crc.Append(p[:n])
	}
	if v.md5 != nil {
		_, _ = v.md5.Write(p[:n]) // never fails
	}
	return n, err
}

// check returns storage.ErrChecksum unless what was read has the hashes.
func (v *verifier) check() error {
	if v.want.crc32c != nil && v.crc != *v.want.crc32c {
		return fmt.Errorf("%w: the CRC32C is %s, not %s", storage.ErrChecksum, v.crc, *v.want.crc32c)
	}
	if v.md5 != nil && string(v.md5.Sum(nil)) != string(v.want.md5) {
		return fmt.Errorf("%w: the MD5 differs", storage.ErrChecksum)
	}
	return nil
}
