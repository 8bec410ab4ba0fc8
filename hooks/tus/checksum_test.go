package tus

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
)

// The checksums of "hello world", from other tools.
var sums = map[string]string{
	"sha1":   "2aae6c35c94fcfb415dbe95f408b9ce91ee846ed",
	"sha256": "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
	"md5":    "5eb63bbbe01eeed093cb22bb8f5acdc3",
	"crc32c": "c99465aa",
}

func TestEveryAdvertisedAlgorithmIsKnown(t *testing.T) {
	names := strings.Split(algorithmNames, ",")
	if len(names) != len(sums) {
		t.Fatalf("%d algorithms are advertised, %d tested", len(names), len(sums))
	}
	for _, name := range names {
		want, err := hex.DecodeString(sums[name])
		if err != nil {
			t.Fatal(err)
		}
		h, sum, err := parseChecksum(name + " " + base64.StdEncoding.EncodeToString(want))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		h.Write([]byte("hello world"))
		if got := h.Sum(nil); hex.EncodeToString(got) != hex.EncodeToString(sum) {
			t.Errorf("%s: %x, want %x", name, got, sum)
		}
	}
}

func TestMalformedChecksumIsRefused(t *testing.T) {
	good := base64.StdEncoding.EncodeToString(make([]byte, 20))
	for _, value := range []string{"", "sha1", "sha1 ", "sha1 !!", "SHA1 " + good, "sha512 " + good, "sha1 " + good[:24], "md5 " + good, "sha1  " + good} {
		if _, _, err := parseChecksum(value); !errors.Is(err, storage.ErrBadRequest) {
			t.Errorf("%q: %v, want ErrBadRequest", value, err)
		}
	}
}

func TestOnlyOneChecksumMayBeGiven(t *testing.T) {
	good := "sha1 " + base64.StdEncoding.EncodeToString(make([]byte, 20))
	for name, change := range map[string]func(*http.Request){
		"two headers": func(r *http.Request) { r.Header["Upload-Checksum"] = []string{good, good} },
		"a header and trailer": func(r *http.Request) {
			r.Header.Set("Upload-Checksum", good)
			r.Trailer = http.Header{"Upload-Checksum": nil}
		},
	} {
		r := httptest.NewRequest("PATCH", "/files/a", nil)
		change(r)
		if _, err := readChecksum(r); !errors.Is(err, storage.ErrBadRequest) {
			t.Errorf("%s: %v, want ErrBadRequest", name, err)
		}
	}
	if c, err := readChecksum(httptest.NewRequest("PATCH", "/files/a", nil)); c != nil || err != nil {
		t.Errorf("none: %v, %v", c, err)
	}
}

func TestMetadataIsPairsInBase64(t *testing.T) {
	for value, ok := range map[string]bool{
		"": true, " ": true, "filename dmlkZW8ubXA0": true, "filename dmlkZW8ubXA0,type dmlkZW8=, empty": true, "flag": true,
		"filename ***": false, "filename dmlkZW8ubXA0,filename dmlkZW8ubXA0": false, "a YQ==,,b Yg==": false, ",": false, "a b c": false,
	} {
		if err := checkMetadata([]string{value}); (err == nil) != ok {
			t.Errorf("%q: %v", value, err)
		}
	}
	if err := checkMetadata([]string{"a YQ==", "b Yg=="}); !errors.Is(err, storage.ErrBadRequest) {
		t.Errorf("two headers: %v", err)
	}
	if err := checkMetadata([]string{"a " + strings.Repeat("YWFh", maxMetadata/4)}); err == nil || strings.Contains(err.Error(), "YWFh") {
		t.Errorf("too long: %v", err)
	}
}
