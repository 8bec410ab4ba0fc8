package contentrange

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/storage"
)

const (
	// describedFor is how long the description of a file counts after the last request that
	// gave it: two clients that send files to one URL send their chunks in turns.
	describedFor = time.Minute
	// maxDescribed is how many uploads are remembered by what their requests say.
	maxDescribed = 10_000
	// maxSaid is how much is remembered of an upload: digests, mostly.
	maxSaid = 1_000
)

// descriptions are what the requests that are under way, or have succeeded a moment ago, say
// about the files that they send: a URL is for one file. It is not compared with what is stored
// of the upload, which the app may have changed. The zero value is ready to use.
type descriptions struct {
	mu sync.Mutex
	of map[string]*description // by upload id
}

type description struct {
	created  time.Time        // the upload
	said     map[string]*said // by what it is of: the type, the name, the digest of a range
	requests int              // that are under way
	last     time.Time        // when the last one ended
}

// said is what requests say alike.
type said struct {
	value string
	times int // by requests that are under way or have succeeded
}

// statement is what one request says.
type statement struct {
	of   *description // nil if it says nothing
	says map[string]string
}

// check returns ErrContentConflict if a request says something else about its file than
// another one of the same upload does at the same time. Otherwise it notes in the statement
// of the request what that says; the caller ends it.
func (d *descriptions) check(p put, h http.Header, up storage.Upload) error {
	says := describe(p, h)
	if len(says) == 0 || p.says == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.get(up)
	for what, value := range says {
		if before, ok := known.said[what]; ok && before.value != value {
			return fmt.Errorf("%w: %s is %.100q now, and was %.100q", storage.ErrContentConflict, what, value, before.value)
		}
	}
	for what, value := range says {
		if known.said[what] == nil && len(known.said) < maxSaid {
			known.said[what] = &said{value: value}
		}
		if now := known.said[what]; now != nil {
			now.times++
		}
	}
	known.requests++
	*p.says = statement{known, says}
	return nil
}

// end ends a statement. What a request has said that failed is taken back.
func (d *descriptions) end(s *statement, err error) {
	if s.of == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s.of.requests--
	s.of.last = time.Now()
	for what := range s.says {
		now := s.of.said[what]
		if now == nil || err == nil {
			continue
		}
		if now.times--; now.times <= 0 {
			delete(s.of.said, what)
		}
	}
}

// putDescribed is put for a request of which the description must not contradict those of
// others.
func (d *Handler) putDescribed(r *http.Request, p put, body *hooks.Body) (up storage.Upload, err error) {
	p.says = new(statement)
	defer func() { d.described.end(p.says, err) }()
	return d.put(r, p, body)
}

// get returns what is remembered of an upload, and makes room for it if need be.
func (d *descriptions) get(up storage.Upload) *description {
	known, ok := d.of[up.ID]
	if ok && known.created.Equal(up.Created) && !known.over() {
		return known
	}
	if d.of == nil {
		d.of = map[string]*description{}
	}
	if len(d.of) >= maxDescribed {
		d.clear()
	}
	known = &description{created: up.Created, said: map[string]*said{}}
	d.of[up.ID] = known
	return known
}

func (d *description) over() bool {
	return d.requests == 0 && time.Since(d.last) > describedFor
}

// clear forgets what does not count any more, or everything if all of it does.
func (d *descriptions) clear() {
	for id, known := range d.of {
		if known.over() {
			delete(d.of, id)
		}
	}
	if len(d.of) >= maxDescribed {
		clear(d.of)
	}
}

// describe is what a request says about its file, and which no other request for the same
// upload may contradict. The type that says nothing is left out: chunks of a file of some
// other type are often sent so.
func describe(p put, h http.Header) map[string]string {
	says := map[string]string{}
	meta := metadata(h)
	if typ := meta["filetype"]; typ != "" && typ != "application/octet-stream" {
		says["Content-Type"] = typ
	}
	if name := meta["filename"]; name != "" {
		says["the file name"] = name
	}
	for _, line := range h.Values("Content-Digest") {
		for member := range strings.SplitSeq(line, ",") {
			algorithm, value, ok := strings.Cut(strings.TrimSpace(member), "=")
			if ok && p.end != unknown {
				says[fmt.Sprintf("the %s of %d-%d", algorithm, p.start, p.end-1)] = value
			}
		}
	}
	return says
}
