package contentrange

import (
	"errors"
	"fmt"
	"net/http"
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
