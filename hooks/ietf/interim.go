package ietf

import (
	"maps"
	"strconv"
	"sync"
	"time"
)

const (
	// statusResumptionSupported is the status 104.
	statusResumptionSupported = 104
	// progressInterval is the minimum time between two reports of progress: each costs a
	// look at the state.
	progressInterval = 3 * time.Second
)

// reported is the last report of progress of a request.
type reported struct {
	mu     sync.Mutex
	at     time.Time
	offset int64
	ended  bool // the response may be under way: no report may follow
}

// announce sends 104 (Upload Resumption Supported) with the URL of the upload.
func (x *exchange) announce() {
	if !x.resumable || !x.announces() || x.up.Finished {
		return
	}
	x.inform(map[string]string{"Location": x.location, uploadLimit: x.limits()})
	x.announced = true
}

// report sends 104 with the offset up to which the content is stored, at most once in
// progressInterval. It is called while the content is read.
func (x *exchange) report() {
	if !x.announced || !x.progress {
		return
	}
	p := &x.reported
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended || time.Since(p.at) < progressInterval {
		return
	}
	p.at = time.Now()
	up, err := x.uploads.Get(x.r.Context(), x.up.ID)
	if err != nil || up.Finished || up.Offset() <= p.offset {
		return
	}
	p.offset = up.Offset()
	x.inform(map[string]string{uploadOffset: strconv.FormatInt(up.Offset(), 10)})
}

// inform sends 104 with those of the fields that are not empty, and no others.
func (x *exchange) inform(fields map[string]string) {
	if !x.r.ProtoAtLeast(1, 1) {
		return // HTTP/1.0 has no interim responses
	}
	h := x.w.Header()
	final := h.Clone()
	clear(h)
	h.Set(interopVersion, x.version())
	for name, value := range fields {
		if value != "" {
			h.Set(name, value)
		}
	}
	x.w.WriteHeader(statusResumptionSupported)
	clear(h)
	maps.Copy(h, final)
}
