package google

import (
	"crypto/md5"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

func TestHashesOfAFileAreVerified(t *testing.T) {
	const text = "the content of the file"
	sum := md5.Sum([]byte(text))
	crc, md := "crc32c="+crc32c.Of([]byte(text)).String(), "md5="+base64.StdEncoding.EncodeToString(sum[:])
	for _, c := range []struct {
		header []string
		want   error // of parsing or of the check
	}{
		{nil, nil},
		{[]string{crc}, nil},
		{[]string{crc + ", " + md}, nil},
		{[]string{crc, md}, nil},
		{[]string{"sha1=AAAA"}, nil}, // unknown ones are ignored
		{[]string{"crc32c=AAAAAA=="}, storage.ErrChecksum},
		{[]string{crc, "md5=" + base64.StdEncoding.EncodeToString(make([]byte, 16))}, storage.ErrChecksum},
		{[]string{"crc32c=AAAA"}, storage.ErrBadRequest},
		{[]string{"md5=AAAA"}, storage.ErrBadRequest},
	} {
		want, err := parseHashes(http.Header{"X-Goog-Hash": c.header})
		if err == nil {
			v := newVerifier(strings.NewReader(text), want)
			if _, err := io.Copy(io.Discard, v); err != nil || v.n != int64(len(text)) {
				t.Fatalf("%d bytes, %v", v.n, err)
			}
			err = v.check()
		}
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%q: %v, want %v", c.header, err, c.want)
		}
	}
}
