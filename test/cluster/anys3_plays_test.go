package cluster

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/holdfast-upload/holdfast/test/servers"
)

// play is an S3 server that refuses or ignores what another server does, and otherwise is
// the one behind it.
type play struct {
	t      *testing.T
	refuse func(p *play, r *http.Request, body []byte) *refusal // nil passes the request on
	ignore []string                                             // headers

	mu    sync.Mutex
	sizes map[string]int64 // of parts, by multipart upload and number
}

// refusal is a response of S3.
type refusal struct {
	status int
	code   string
}

// start puts the play in front of an S3 server, and returns its URL.
func (p *play) start(t *testing.T, target string) string {
	p.t, p.sizes = t, map[string]int64{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", target, r.In.Host
			if len(p.ignore) > 0 {
				p.resign(r.Out)
			}
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
		ErrorLog:  quiet,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client went away
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if p.refuse != nil {
			if no := p.refuse(p, r, body); no != nil {
				http.Error(w, "<Error><Code>"+no.code+"</Code><Message>as another server does</Message></Error>", no.status)
				return
			}
		}
		p.note(r)
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// resign removes the headers that are ignored, and signs the request without them.
func (p *play) resign(r *http.Request) {
	for _, name := range append(p.ignore, "Authorization", "X-Amz-Date") {
		r.Header.Del(name)
	}
	keys := aws.Credentials{AccessKeyID: servers.AccessKey, SecretAccessKey: servers.SecretKey}
	r.Header.Del("X-Forwarded-For")
	if err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).SignHTTP(context.Background(), keys, r, r.Header.Get("X-Amz-Content-Sha256"), "s3", "us-east-1", time.Now()); err != nil {
		p.t.Error(err)
	}
}

// note records the size of a part.
func (p *play) note(r *http.Request) {
	q := r.URL.Query()
	if r.Method != http.MethodPut || !q.Has("partNumber") {
		return
	}
	size := r.ContentLength
	var first, last int64
	if n, _ := fmt.Sscanf(r.Header.Get("X-Amz-Copy-Source-Range"), "bytes=%d-%d", &first, &last); n == 2 {
		size = last - first + 1
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sizes[q.Get("uploadId")+"/"+q.Get("partNumber")] = size
}

// unequal reports whether the parts of a completion, but for the last, differ in size.
func (p *play) unequal(uploadID string, body []byte) bool {
	var complete struct{ Part []struct{ PartNumber string } }
	if err := xml.Unmarshal(body, &complete); err != nil {
		p.t.Error(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := 1; i < len(complete.Part); i++ {
		first, this := p.sizes[uploadID+"/"+complete.Part[0].PartNumber], p.sizes[uploadID+"/"+complete.Part[i].PartNumber]
		if this > first || this < first && i < len(complete.Part)-1 {
			return true
		}
	}
	return false
}

// What requests are.
func isDeleteObjects(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("delete")
}

func isComplete(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
}

func isListMultiparts(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Query().Has("uploads")
}

func isCopy(r *http.Request) bool { return r.Header.Get("X-Amz-Copy-Source") != "" }

// has reports whether a request has a header whose name begins so.
func has(r *http.Request, prefix string) bool {
	for name := range r.Header {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// What servers refuse.
func oldMinIO(_ *play, r *http.Request, _ []byte) *refusal {
	switch {
	case isDeleteObjects(r) && r.Header.Get("Content-Md5") == "":
		return &refusal{http.StatusBadRequest, "MissingContentMD5"}
	case r.Header.Get("X-Amz-Checksum-Type") == "FULL_OBJECT":
		return &refusal{http.StatusBadRequest, "InvalidArgument"}
	}
	return nil
}

func r2(p *play, r *http.Request, body []byte) *refusal {
	switch {
	case has(r, "X-Amz-Checksum-Algorithm"), has(r, "X-Amz-Checksum-Type"), has(r, "X-Amz-Checksum-Crc32c"):
		return &refusal{http.StatusNotImplemented, "NotImplemented"}
	case isComplete(r) && p.unequal(r.URL.Query().Get("uploadId"), body):
		return &refusal{http.StatusBadRequest, "InvalidPart"}
	}
	return nil
}

func b2(_ *play, r *http.Request, _ []byte) *refusal {
	if r.Header.Get("If-None-Match") != "" {
		return &refusal{http.StatusNotImplemented, "NotImplemented"}
	}
	return nil
}

func noCopies(_ *play, r *http.Request, _ []byte) *refusal {
	switch {
	case has(r, "X-Amz-Checksum-Algorithm"), has(r, "X-Amz-Checksum-Type"):
		return &refusal{http.StatusNotImplemented, "NotImplemented"}
	case isListMultiparts(r):
		return &refusal{http.StatusNotImplemented, "NotImplemented"}
	case isCopy(r) && has(r, "X-Amz-Copy-Source-Range"):
		return &refusal{http.StatusNotImplemented, "NotImplemented"}
	}
	return nil
}

// bare has neither DeleteObjects nor anything that came later; with no multipart upload to
// list it answers 404.
func bare(_ *play, r *http.Request, _ []byte) *refusal {
	switch {
	case isDeleteObjects(r):
		return &refusal{http.StatusMethodNotAllowed, "MethodNotAllowed"}
	case isListMultiparts(r):
		return &refusal{http.StatusNotFound, "NoSuchUpload"}
	}
	return nil
}

var ignored = []string{"If-None-Match"}

// Two nodes do everything on servers that refuse, or ignore, what a known one does.
func TestF37TwoNodesWorkOnServersThatLackAbilities(t *testing.T) {
	target, redis := servers.S3(t), servers.Redis(t)
	for _, c := range []struct {
		name string
		play *play
		want string
	}{
		{"MinIO before 2025-02", &play{refuse: oldMinIO}, "checksums"},
		{"Cloudflare R2", &play{refuse: r2}, "checksums"},
		{"Backblaze B2", &play{refuse: b2}, "conditional put, conditional completion"},
		{"Ceph RGW with versioning", &play{ignore: ignored}, "conditional put, conditional completion"},
		{"a server that copies no ranges", &play{refuse: noCopies, ignore: ignored}, "conditional put, checksums, conditional completion, copies, listing of multipart uploads"},
		{"a server without DeleteObjects", &play{refuse: bare}, "listing of multipart uploads, removal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			testServer(t, c.play.start(t, target.Addr), redis, c.want)
		})
	}
}

// A key that lacks a permission makes the start fail with a sentence that names it.
func TestF37AMissingPermissionIsNamedAtTheStart(t *testing.T) {
	target := servers.S3(t)
	denied := func(when func(*http.Request) bool) *play {
		return &play{refuse: func(_ *play, r *http.Request, _ []byte) *refusal {
			if when(r) {
				return &refusal{http.StatusForbidden, "AccessDenied"}
			}
			return nil
		}}
	}
	onObject := func(r *http.Request) bool { return strings.Count(r.URL.Path, "/") > 1 }
	for _, c := range []struct {
		name, want string
		play       *play
	}{
		{"list", "s3:ListBucket", denied(func(r *http.Request) bool { return !onObject(r) && r.Method != http.MethodPut && !isDeleteObjects(r) })},
		{"put", "s3:PutObject", denied(func(r *http.Request) bool { return onObject(r) && r.Method == http.MethodPut })},
		{"get", "s3:GetObject", denied(func(r *http.Request) bool {
			return onObject(r) && r.Method == http.MethodGet && r.URL.RawQuery == "x-id=GetObject"
		})},
		{"delete", "s3:DeleteObject", denied(func(r *http.Request) bool {
			return isDeleteObjects(r) || r.Method == http.MethodDelete && !r.URL.Query().Has("uploadId")
		})},
		{"abort", "s3:AbortMultipartUpload", denied(func(r *http.Request) bool { return r.Method == http.MethodDelete && r.URL.Query().Has("uploadId") })},
		{"list parts", "s3:ListMultipartUploadParts", denied(func(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.Query().Has("uploadId") })},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, ok := checkStore(t, onBucket(c.play.start(t, target.Addr))...)
			if ok || !strings.Contains(out, c.want) {
				t.Errorf("check-store succeeds: %v; want a failure that names %s:\n%s", ok, c.want, out)
			}
		})
	}
}

// Without Redis, a server that ignores If-None-Match is for one node, which is said.
func TestF37WithoutRedisAServerThatIgnoresConditionsIsForOneNode(t *testing.T) {
	p := &play{ignore: ignored}
	out, ok := checkStore(t, onBucket(p.start(t, servers.S3(t).Addr))...)
	if !ok || !strings.Contains(out, "only one holdfast may use this bucket") || !strings.Contains(out, "--redis") {
		t.Errorf("check-store says:\n%s", out)
	}
}

// With --s3-checksums crc32c the server does not start without them.
func TestF37RequiredChecksumsThatAreMissingFailTheStart(t *testing.T) {
	p := &play{refuse: r2}
	out, ok := checkStore(t, append(onBucket(p.start(t, servers.S3(t).Addr)), "--s3-checksums", "crc32c")...)
	if ok || !strings.Contains(out, "--s3-checksums crc32c demands") {
		t.Errorf("check-store succeeds: %v\n%s", ok, out)
	}
}
