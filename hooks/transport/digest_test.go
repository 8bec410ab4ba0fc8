package transport

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/storage"
)

// The digests of "hello world", computed with other tools.
var sums = map[string]string{
	"sha-512": "309ecc489c12d6eb4cc40f50c902f2b4d0ed77ee511a7c7a9bcd3ca86d4cd86f989dd35bc5ff499670da34255b45b0cfd830e81f605dcf7dc5542e93ae9cd76f",
	"sha-256": "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
	"sha":     "2aae6c35c94fcfb415dbe95f408b9ce91ee846ed",
	"md5":     "5eb63bbbe01eeed093cb22bb8f5acdc3",
	"crc32c":  "c99465aa",
}

// inBase64 returns one of sums in base64.
func inBase64(t *testing.T, algorithm string) string {
	t.Helper()
	sum, err := hex.DecodeString(sums[algorithm])
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(sum)
}

func wantDigest(t *testing.T, field, value, algorithm string) {
	t.Helper()
	found, err := readDigests(http.Header{field: {value}})
	if err != nil || len(found) != 1 || found[0].algorithm != algorithm {
		t.Errorf("%s: %s: %v, %v", field, value, found, err)
		return
	}
	h := hashes[algorithm]()
	h.Write([]byte("hello world"))
	if err := found[0].check(h.Sum(nil)); err != nil {
		t.Errorf("%s: %s: %v", field, value, err)
	}
	h.Write([]byte("!"))
	if err := found[0].check(h.Sum(nil)); !errors.Is(err, problem.ErrDigest) || errors.Is(err, problem.ErrChecksum) != (field == uploadChecksum) {
		t.Errorf("%s: %s, for other bytes: %v", field, value, err)
	}
}

func TestF30EveryFieldSupportsEveryAlgorithm(t *testing.T) {
	if len(hashes) != len(sums) {
		t.Fatalf("%d algorithms are supported, %d tested", len(hashes), len(sums))
	}
	for algorithm := range hashes {
		text := inBase64(t, algorithm)
		wantDigest(t, "Content-Digest", algorithm+"=:"+text+":", algorithm)
		wantDigest(t, "Repr-Digest", "x=1, "+algorithm+"=:"+strings.TrimRight(text, "=")+":;a=\"b,c\"", algorithm)
		if algorithm != "crc32c" {
			wantDigest(t, "Digest", strings.ToUpper(algorithm)+"="+text, algorithm)
			wantDigest(t, "Digest", "unixsum=30637, "+algorithm+"="+text, algorithm)
		}
	}
	wantDigest(t, "Content-Md5", inBase64(t, "md5"), "md5")
	names := strings.Split(ChecksumAlgorithms, ",")
	if !slices.Equal(slices.Sorted(maps.Keys(checksumHashes)), slices.Sorted(slices.Values(names))) {
		t.Errorf("advertised algorithms: %v", names)
	}
	for _, name := range names {
		wantDigest(t, uploadChecksum, name+" "+inBase64(t, checksumHashes[name]), checksumHashes[name])
	}
}

func TestF30UnknownAlgorithmsAreIgnored(t *testing.T) {
	for field, values := range map[string][]string{
		"Content-Digest": {"", "unixsum=:AAA:", "sha3-256=abc", "adler=?1, id-sha-256=\"a,b;c\", x;y=1", "crc64=(1 2);q=1"},
		"Digest":         {"UNIXsum=30637", "ADLER32=03da0195,id-sha-256=YQ==", "crc32c=c99465aa"},
	} {
		for _, value := range values {
			if found, err := readDigests(http.Header{field: {value}}); len(found) != 0 || err != nil {
				t.Errorf("%s: %s: %v, %v", field, value, found, err)
			}
		}
	}
}

func TestF30MalformedDigestsAreRejected(t *testing.T) {
	sha1, md5 := base64.StdEncoding.EncodeToString(make([]byte, 20)), base64.StdEncoding.EncodeToString(make([]byte, 16))
	for field, values := range map[string][]string{
		"Content-Digest": {"sha-256", "sha-256=", "sha-256=" + sha1, "sha-256=:" + sha1 + ":", "sha=:!!:", "sha=::", "sha=:", "sha=:" + sha1, "SHA=:" + sha1 + ":", ",", "sha=:" + sha1 + ":,", "=:" + sha1 + ":", "1a=2"},
		"Digest":         {"", "sha", "sha=", "sha-256=" + sha1, "sha=" + sha1 + ",", "=" + sha1, "sha=:" + sha1 + ":"},
		"Content-Md5":    {"", "!!", sha1, ":" + md5 + ":", md5 + ", " + md5},
		uploadChecksum: {"", "sha1", "sha1 ", "sha1 !!", "SHA1 " + sha1, "sha512 " + sha1, "sha1 " + sha1[:24], "md5 " + sha1, "sha1  " + sha1,
			"sha1 " + sha1 + ", sha1 " + sha1},
	} {
		for _, value := range values {
			if found, err := readDigests(http.Header{field: {value}}); !errors.Is(err, storage.ErrBadRequest) {
				t.Errorf("%s: %q: %v, %v, want ErrBadRequest", field, value, found, err)
			}
		}
	}
}

func TestOnlyOneUploadChecksumIsAllowed(t *testing.T) {
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
		if _, err := newVerification(r, nil); !errors.Is(err, storage.ErrBadRequest) {
			t.Errorf("%s: %v, want ErrBadRequest", name, err)
		}
	}
	if v, err := newVerification(httptest.NewRequest("PATCH", "/files/a", nil), nil); v != nil || err != nil {
		t.Errorf("none: %v, %v", v, err)
	}
}

// Repr-Digest covers the whole file, so it cannot be verified for a part.
func TestReprDigestIsVerifiedOnlyForAWholeFile(t *testing.T) {
	for name, tt := range map[string]struct {
		method, field, value string
		length               int64
		want                 bool
	}{
		"a whole PUT":               {"PUT", "X", "", 10, true},
		"a chunked whole PUT":       {"PUT", "X", "", -1, true},
		"a PUT of the whole range":  {"PUT", "Content-Range", "bytes 0-9/10", 10, true},
		"a PUT of a part":           {"PUT", "Content-Range", "bytes 0-9/20", 10, false},
		"a PUT of the end":          {"PUT", "Content-Range", "bytes 10-19/20", 10, false},
		"a PUT of an unknown total": {"PUT", "Content-Range", "bytes 0-9/*", 10, false},
		"a creation with the file":  {"POST", "Upload-Length", "10", 10, true},
		"a creation with a body":    {"POST", "Upload-Length", "20", -1, true},
		"a creation with a part":    {"POST", "Upload-Length", "20", 10, false},
		"a creation alone":          {"POST", "Upload-Length", "20", 0, false},
		"a creation with no length": {"POST", "Upload-Defer-Length", "1", 10, false},
		"a PATCH":                   {"PATCH", "Upload-Offset", "0", 10, false},
	} {
		r := httptest.NewRequest(tt.method, "/files/a", nil)
		r.ContentLength = tt.length
		r.Header.Set(tt.field, tt.value)
		r.Header.Set("Repr-Digest", "sha-256=:"+inBase64(t, "sha-256")+":")
		if v, err := newVerification(r, nil); err != nil || (v != nil) != tt.want {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
}

func FuzzDigests(f *testing.F) {
	for _, value := range []string{"sha-256=:AAA:", "sha=:x, y", `a="b\",c";d, e`, "sha-256=YQ==,md5=", "sha1 YQ==", ""} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for field := range digestFields {
			found, err := readDigests(http.Header{field: {value}})
			for _, d := range found {
				if err != nil || len(d.want) != hashes[d.algorithm]().Size() {
					t.Errorf("%s: %q: %v, %v", field, value, d, err)
				}
			}
		}
	})
}
