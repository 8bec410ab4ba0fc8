package test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// sumIn64 are the digests of b in base64, by their names in Content-Digest.
func sumIn64(b []byte) map[string]string {
	sha1, md5, sha256, sha512 := sha1.Sum(b), md5.Sum(b), sha256.Sum256(b), sha512.Sum512(b)
	crc := fmt.Appendf(nil, "%08x", crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	var crcBytes [4]byte
	fmt.Sscanf(string(crc), "%02x%02x%02x%02x", &crcBytes[0], &crcBytes[1], &crcBytes[2], &crcBytes[3])
	out := map[string]string{}
	for name, sum := range map[string][]byte{"sha": sha1[:], "md5": md5[:], "sha-256": sha256[:], "sha-512": sha512[:], "crc32c": crcBytes[:]} {
		out[name] = base64.StdEncoding.EncodeToString(sum)
	}
	return out
}

// digestFields write digests into a header field of a request.
var digestFields = map[string]func(sums map[string]string) string{
	"Content-Digest of SHA-256":  func(s map[string]string) string { return "Content-Digest: sha-256=:" + s["sha-256"] + ":" },
	"Content-Digest of SHA-512":  func(s map[string]string) string { return "Content-Digest: sha-512=:" + s["sha-512"] + ":" },
	"Content-Digest of CRC32C":   func(s map[string]string) string { return "Content-Digest: a=1, crc32c=:" + s["crc32c"] + ":;b" },
	"Digest of SHA-256":          func(s map[string]string) string { return "Digest: SHA-256=" + s["sha-256"] },
	"Digest of MD5 and others":   func(s map[string]string) string { return "Digest: unixsum=30637,md5=" + s["md5"] },
	"Content-MD5":                func(s map[string]string) string { return "Content-MD5: " + s["md5"] },
	"Upload-Checksum of SHA-1":   func(s map[string]string) string { return "Upload-Checksum: sha1 " + s["sha"] },
	"Upload-Checksum of CRC32C":  func(s map[string]string) string { return "Upload-Checksum: crc32c " + s["crc32c"] },
	"Upload-Checksum of SHA-256": func(s map[string]string) string { return "Upload-Checksum: sha256 " + s["sha-256"] },
}

// bodied is a request that brings the bytes from 0 to 99 of an upload, or all 100 of it.
type bodied struct {
	method string
	fields []string
	begun  bool // the upload is there, with bytes 900 to 999
	whole  bool // the bytes are the whole file
	chosen bool // the URL is that of the upload
}

var bodiedRequests = map[string]bodied{
	"PUT of a chunk":                      {"PUT", []string{"Content-Range: bytes 0-99/1000"}, true, false, true},
	"POST of a chunk":                     {"POST", []string{"Content-Range: bytes 0-99/1000"}, true, false, true},
	"PATCH of a chunk":                    {"PATCH", []string{"Content-Range: bytes 0-99/1000"}, true, false, true},
	"PUT of a chunk with an unknown end":  {"PUT", []string{"Content-Range: bytes 0-*/1000"}, true, false, true},
	"PUT of the first chunk that comes":   {"PUT", []string{"Content-Range: bytes 0-99/1000"}, false, false, true},
	"PUT of a whole file":                 {"PUT", nil, false, true, true},
	"PUT of all of its range":             {"PUT", []string{"Content-Range: bytes 0-99/100"}, false, true, true},
	"PATCH of tus":                        {"PATCH", []string{tusVersion, offsetBytes, "Upload-Offset: 0"}, true, false, true},
	"creation of tus with a chunk":        {"POST", []string{tusVersion, offsetBytes, "Upload-Length: 1000"}, false, false, false},
	"creation of tus with the whole file": {"POST", []string{tusVersion, offsetBytes, "Upload-Length: 100"}, false, true, false},
}

// url is where the request is to be sent, to an upload of its own.
func (b bodied) url(t *testing.T, s *Server, id string) string {
	t.Helper()
	if !b.chosen {
		return s.URL("")
	}
	if b.begun {
		putAs(t, s.URL(id), strings.Repeat("z", 100), "bytes 900-999/1000", http.StatusAccepted)
	}
	return s.URL(id)
}

// wantNothing demands that nothing of the request counts.
func (b bodied) wantNothing(t *testing.T, s *Server, id string, before map[string]int64) {
	t.Helper()
	switch {
	case b.begun:
		if have := received(t, s.URL(id)); !have.Equal(ranges.NewSet(ranges.Of(900, 100))) {
			t.Errorf("received %v", have)
		}
	case b.chosen:
		ask(t, http.MethodGet, s.URL(id), nil, nil, http.StatusNotFound)
	default:
		if now := listing(t, s.Data); len(now) != len(before) {
			t.Errorf("%d files became %d: %v", len(before), len(now), now)
		}
	}
}

// send sends the body, chunked or not, and demands one of the given statuses.
func (b bodied) send(t *testing.T, url string, body []byte, chunked bool, field string, want ...int) Answer {
	t.Helper()
	var src io.Reader = bytes.NewReader(body)
	if chunked {
		src = io.MultiReader(src) // of no length that net/http knows
	}
	fields := b.fields
	if field != "" {
		fields = append([]string{field}, fields...)
	}
	return ask(t, b.method, url, src, fields, want...)
}

func TestF30DigestsAreVerifiedBeforeAnythingOfAChunkCounts(t *testing.T) {
	t.Parallel()
	s := start(t)
	good, other := bytes.Repeat([]byte("g"), 100), bytes.Repeat([]byte("o"), 100)
	n := 0
	for name, b := range bodiedRequests {
		for fieldName, field := range digestFields {
			for _, chunked := range []bool{false, true} {
				if chunked && (b.whole && b.method == "PUT" || strings.Contains(name, "unknown end")) {
					continue // its length was not declared
				}
				n++
				id := fmt.Sprintf("digest-%d", n)
				t.Run(fmt.Sprintf("%s, %s, chunked %v", name, fieldName, chunked), func(t *testing.T) {
					url, files := b.url(t, s, id), listing(t, s.Data)
					wrong := http.StatusBadRequest
					if strings.HasPrefix(fieldName, "Upload-Checksum") && strings.Contains(strings.Join(b.fields, " "), "Tus-Resumable") {
						wrong = 460
					}
					b.send(t, url, other, chunked, field(sumIn64(good)), wrong)
					b.wantNothing(t, s, id, files)
					b.send(t, url, good, chunked, field(sumIn64(good)), 200, 201, 202, 204)
					if b.begun {
						if have := received(t, url); !have.Contains(ranges.Of(0, 100)) {
							t.Errorf("received %v", have)
						}
					}
				})
			}
		}
	}
}

func TestF30MalformedDigestsAreRefusedAndUnknownOnesIgnored(t *testing.T) {
	t.Parallel()
	s := start(t)
	n := 0
	for name, b := range bodiedRequests {
		for field, want := range map[string][]int{
			"Content-Digest: sha-256=abc":              {400},
			"Content-Digest: sha-256=:YQ==:":           {400},
			"Content-Digest: =":                        {400},
			"Digest: SHA-256":                          {400},
			"Digest: SHA-256=YQ==":                     {400},
			"Content-MD5: YQ==":                        {400},
			"Upload-Checksum: sha0 YQ==":               {400},
			"Content-Digest: unixsum=:YQ==:, sha3=abc": {200, 201, 202, 204},
			"Digest: unixsum=30637, ADLER32=03da0195":  {200, 201, 202, 204},
			"Repr-Digest: unixsum=:YQ==:":              {200, 201, 202, 204},
		} {
			n++
			id := fmt.Sprintf("malformed-%d", n)
			t.Run(name+", "+field, func(t *testing.T) {
				url, files := b.url(t, s, id), listing(t, s.Data)
				b.send(t, url, bytes.Repeat([]byte("g"), 100), false, field, want...)
				if want[0] == 400 {
					b.wantNothing(t, s, id, files)
				}
			})
		}
	}
}

// A Repr-Digest is that of the whole file.
func TestReprDigestIsVerifiedWhereTheBodyIsTheWholeFile(t *testing.T) {
	t.Parallel()
	s := start(t)
	good, other := bytes.Repeat([]byte("g"), 100), bytes.Repeat([]byte("o"), 100)
	field := "Repr-Digest: sha-256=:" + sumIn64(good)["sha-256"] + ":"
	n := 0
	for name, b := range bodiedRequests {
		n++
		id := fmt.Sprintf("repr-%d", n)
		t.Run(name, func(t *testing.T) {
			url, files := b.url(t, s, id), listing(t, s.Data)
			if !b.whole {
				b.send(t, url, other, false, field, 200, 201, 202, 204)
				return
			}
			b.send(t, url, other, false, field, 400)
			b.wantNothing(t, s, id, files)
			b.send(t, url, good, false, field, 201)
		})
	}
}

// What arrived of a body that broke off can't be held against its digest, so nothing of it
// is kept; and it is answered as one without a digest.
func TestF30ABodyWithADigestThatBreaksOffLeavesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, "--idle-timeout", "1s")
	content := NewContent(30, 3*mib) // more than what is held in memory
	sum := sumIn64(content.Bytes(content.All()))["sha-256"]
	for name, fields := range map[string][]string{
		"Content-Range": {"PUT /files/broken HTTP/1.1", "Content-Range: " + ContentRange(content.All(), content.Size)},
		"tus":           {"PATCH /files/broken HTTP/1.1", tusVersion, offsetBytes, "Upload-Offset: 0"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(s, "broken", content)
			if name == "tus" {
				c.URL = createTus(t, s, content.Size)
				fields[0] = "PATCH /files/" + idOf(c.URL) + " HTTP/1.1"
			}
			w := dial(t, s.Addr)
			w.send(append(fields, "Host: x", "Content-Digest: sha-256=:"+sum+":", fmt.Sprintf("Content-Length: %d", content.Size))...)
			w.write(string(content.Bytes(ranges.Of(0, 2*mib))))
			demand(t, w.answer(), http.StatusServiceUnavailable) // it has been idle for too long
			if name == "tus" {
				if have := received(t, c.URL); !have.Empty() {
					t.Errorf("received %v", have)
				}
			} else {
				ask(t, http.MethodGet, c.URL, nil, nil, http.StatusNotFound)
			}
			c.Header = http.Header{"Content-Digest": {"sha-256=:" + sum + ":"}}
			put(t, c, content.All(), http.StatusCreated)
			wantFile(t, c.URL, content)
		})
	}
}

func TestF30DigestsMayComeInTheTrailer(t *testing.T) {
	t.Parallel()
	s := start(t)
	body := strings.Repeat("t", 100)
	sums := sumIn64([]byte(body))
	n := 0
	for name, tt := range map[string]struct {
		trailer, sent string
		want          int
	}{
		"right":           {"Content-Digest", "Content-Digest: sha-256=:" + sums["sha-256"] + ":", 202},
		"wrong":           {"Content-Digest", "Content-Digest: md5=:" + sumIn64(nil)["md5"] + ":", 400},
		"malformed":       {"Content-Digest", "Content-Digest: md5=x", 400},
		"missing":         {"Content-Digest", "X: y", 400},
		"an old one":      {"Digest", "Digest: MD5=" + sums["md5"], 202},
		"an old one, bad": {"Digest", "Digest: MD5=" + sumIn64(nil)["md5"], 400},
	} {
		n++
		id := fmt.Sprintf("trailer-%d", n)
		t.Run(name, func(t *testing.T) {
			w := dial(t, s.Addr)
			w.send("PUT /files/"+id+" HTTP/1.1", "Host: x", "Content-Range: bytes 0-99/1000", "Trailer: "+tt.trailer, "Transfer-Encoding: chunked")
			w.write(chunked(body) + "0\r\n" + tt.sent + "\r\n\r\n")
			demand(t, w.answer(), tt.want)
			if tt.want == 400 {
				ask(t, http.MethodGet, s.URL(id), nil, nil, http.StatusNotFound)
				return
			}
			if have := received(t, s.URL(id)); have.Bytes() != 100 {
				t.Errorf("received %v", have)
			}
		})
	}
}

// A body that has to be kept aside is not kept beyond the bytes that it can bring.
func TestF30ABodyWithADigestThatIsTooLongIsRefusedAtTheLimit(t *testing.T) {
	t.Parallel()
	s := start(t)
	sum := sumIn64(bytes.Repeat([]byte("x"), 1000))
	for name, b := range bodiedRequests {
		if b.fields == nil || strings.Contains(name, "unknown end") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			id := "long-" + strings.ReplaceAll(name, " ", "-")
			url, files := b.url(t, s, id), listing(t, s.Data)
			long := bytes.Repeat([]byte("x"), 2000)
			a := b.send(t, url, long, true, "Content-Digest: sha-256=:"+sum["sha-256"]+":", 400, 413)
			if strings.Contains(string(a.Body), "digest") {
				t.Errorf("it was kept to its end: %s", a.Body)
			}
			b.wantNothing(t, s, id, files)
		})
	}
}
