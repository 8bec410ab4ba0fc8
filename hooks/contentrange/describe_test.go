package contentrange

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

func TestF26ContradictoryRequestsForOneURLAreRejected(t *testing.T) {
	up := storage.Upload{Record: storage.Record{ID: "one", Size: 100, Created: time.Now()}}
	all, half := put{contentRange: contentRange{end: 100, total: 100}}, put{contentRange: contentRange{end: 50, total: 100}}
	header := func(lines ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(lines); i += 2 {
			h.Add(lines[i], lines[i+1])
		}
		return h
	}
	const digest, other = "sha-256=:YQ==:", "sha-256=:Yg==:"
	for _, c := range []struct {
		first, second       http.Header
		firstPut, secondPut put
		conflict            bool
	}{
		{header(), header("Content-Type", "video/mp4"), all, all, false},
		{header("Content-Type", "video/mp4"), header(), all, all, false},
		{header("Content-Type", "video/mp4"), header("Content-Type", "Video/MP4; codecs=x"), all, half, false},
		{header("Content-Type", "video/mp4"), header("Content-Type", "image/png"), all, half, true},
		{header("Content-Type", "video/mp4"), header("Content-Type", "application/octet-stream"), all, all, false},
		{header("Content-Type", "video/mp4"), header("Content-Type", "application/x-www-form-urlencoded"), all, all, false},
		{header("Content-Disposition", `attachment; filename="a"`), header("Content-Disposition", `attachment; filename="a"`), all, all, false},
		{header("Content-Disposition", `attachment; filename="a"`), header("Content-Disposition", `attachment; filename="b"`), all, all, true},
		{header("Content-Digest", digest), header("Content-Digest", digest), all, all, false},
		{header("Content-Digest", digest), header("Content-Digest", "crc32c=:Yg==:, "+other), all, all, true},
		{header("Content-Digest", digest), header("Content-Digest", "crc32c=:Yg==:"), all, all, false},
		{header("Content-Digest", digest), header("Content-Digest", other), all, half, false},
	} {
		var d descriptions
		c.firstPut.declared, c.secondPut.declared = new(declaration), new(declaration)
		if err := d.check(c.firstPut, c.first, up); err != nil {
			t.Errorf("%v: %v", c.first, err)
		}
		err := d.check(c.secondPut, c.second, up)
		d.end(c.secondPut.declared, nil)
		if errors.Is(err, storage.ErrContentConflict) != c.conflict || err != nil && !c.conflict {
			t.Errorf("%v and then %v: %v, want a conflict: %v", c.first, c.second, err, c.conflict)
		}
		d.end(c.firstPut.declared, storage.ErrUnavailable)
		if err := d.check(c.secondPut, c.second, up); err != nil {
			t.Errorf("%v after the first has failed: %v", c.second, err)
		}
	}
}

func TestDescriptionsExpireAndAreBounded(t *testing.T) {
	var d descriptions
	whole, h := put{contentRange: contentRange{end: 9, total: 9}, declared: new(declaration)}, http.Header{"Content-Type": {"video/mp4"}}
	up := storage.Upload{Record: storage.Record{ID: "one", Created: time.Now()}}
	if err := d.check(whole, h, up); err != nil {
		t.Fatal(err)
	}
	again := up
	again.Created = up.Created.Add(time.Second)
	if err := d.check(whole, http.Header{"Content-Type": {"image/png"}}, again); err != nil {
		t.Errorf("another upload of the same id: %v", err)
	}
	d.of["one"].requests, d.of["one"].last = 0, time.Now().Add(-2*descriptionTTL)
	if err := d.check(whole, h, again); err != nil {
		t.Errorf("a while later: %v", err)
	}
	for i := range 2*maxDescriptions + 1 {
		up.ID = fmt.Sprint(i)
		_ = d.check(whole, h, up)
	}
	if len(d.of) > maxDescriptions {
		t.Errorf("%d uploads are remembered", len(d.of))
	}
}

// F32: what requests declare is bounded in its number and in its bytes.
func TestF32DeclarationsAreBounded(t *testing.T) {
	var d descriptions
	long := strings.Repeat("x", 100_000)
	up := storage.Upload{Record: storage.Record{ID: "long", Created: time.Now()}}
	name := func(end string) http.Header {
		return http.Header{"Content-Disposition": {`attachment; filename="` + long + end + `"`}}
	}
	p := put{contentRange: contentRange{end: 9, total: 9}, declared: new(declaration)}
	if err := d.check(p, name("a"), up); err != nil {
		t.Fatal(err)
	}
	if err := d.check(p, name("b"), up); !errors.Is(err, storage.ErrContentConflict) || len(err.Error()) > 1000 {
		t.Errorf("another long name: %.1000v", err)
	}
	if n := len(d.of["long"].attributes["the file name"].value); n > maxValue {
		t.Errorf("%d bytes of a name are kept", n)
	}
	var digests []string
	for i := range 2 * maxAttributes {
		digests = append(digests, fmt.Sprintf("sha-%d=:YQ==:", i))
	}
	h := http.Header{"Content-Digest": {strings.Join(digests, ",")}}
	for i := range 2 * maxAllAttributes / maxAttributes {
		up.ID = fmt.Sprint(i)
		p.declared = new(declaration)
		if err := d.check(p, h, up); err != nil {
			t.Fatal(err)
		}
		if i%2 == 1 {
			d.end(p.declared, storage.ErrUnavailable)
		}
	}
	all := 0
	for _, known := range d.of {
		all += len(known.attributes)
	}
	if all != d.count || all > maxAllAttributes {
		t.Errorf("%d attributes are kept and %d counted, at most %d may be", all, d.count, maxAllAttributes)
	}
}
