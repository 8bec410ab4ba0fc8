package contentrange

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

const (
	// descriptionTTL is how long a description is kept after the last request of its upload:
	// the chunks of two clients that send different files to one URL alternate.
	descriptionTTL = time.Minute
	// maxDescriptions is the maximum number of uploads with a description.
	maxDescriptions = 10_000
	// maxAttributes is the maximum number of attributes of an upload, most of them digests,
	// and maxAllAttributes that of all uploads, at up to 500 bytes each.
	maxAttributes    = 1_000
	maxAllAttributes = 100_000
	// maxValue is the maximum length of an attribute's value; see abbreviate.
	maxValue = 200
)

// descriptions holds what current and recent requests declare about the files they send, to
// detect clients that send different files to one URL. It is not compared with the stored
// metadata, which the app may have changed. The zero value is ready to use.
type descriptions struct {
	mu    sync.Mutex
	of    map[string]*description // by upload id
	count int                     // of their attributes
}

// description is what the requests of one upload declare about its file.
type description struct {
	created    time.Time             // when the upload was
	attributes map[string]*attribute // by name: the type, the file name, the digest of a range
	requests   int                   // in progress
	last       time.Time             // when the last request ended
	removed    bool                  // from descriptions
}

// attribute is a value that requests agree on.
type attribute struct {
	value string
	refs  int // requests with it that are in progress or succeeded
}

// declaration is what one request declares.
type declaration struct {
	of       *description // nil if it declares nothing
	declared map[string]string
}

// check returns ErrContentConflict if a request contradicts a current or recent request of
// the same upload. Otherwise it records what the request declares in p.declared, which the
// caller passes to end.
func (d *descriptions) check(p put, h http.Header, up storage.Upload) error {
	declared := describe(p, h)
	if len(declared) == 0 || p.declared == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.get(up)
	for name, value := range declared {
		if before, ok := known.attributes[name]; ok && before.value != value {
			return fmt.Errorf("%w: %s is %.100q now, and was %.100q", storage.ErrContentConflict, name, value, before.value)
		}
	}
	for name, value := range declared {
		if known.attributes[name] == nil && len(known.attributes) < maxAttributes {
			known.attributes[name] = &attribute{value: value}
			d.count++
		}
		if a := known.attributes[name]; a != nil {
			a.refs++
		}
	}
	known.requests++
	*p.declared = declaration{known, declared}
	return nil
}

// end ends the request of a declaration. If the request failed, it withdraws what the
// request declared.
func (d *descriptions) end(s *declaration, err error) {
	if s.of == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s.of.requests--
	s.of.last = time.Now()
	for name := range s.declared {
		a := s.of.attributes[name]
		if a == nil || err == nil {
			continue
		}
		if a.refs--; a.refs <= 0 {
			delete(s.of.attributes, name)
			if !s.of.removed {
				d.count--
			}
		}
	}
}

// putConsistent is put, and records the request in the descriptions of its upload.
func (d *Handler) putConsistent(r *http.Request, p put, body *transport.Body) (up storage.Upload, err error) {
	p.declared = new(declaration)
	defer func() { d.descriptions.end(p.declared, err) }()
	return d.put(r, p, body)
}

// get returns the description of an upload, and adds one if there is none. The caller holds
// the mutex.
func (d *descriptions) get(up storage.Upload) *description {
	known, ok := d.of[up.ID]
	if ok && known.created.Equal(up.Created) && !known.expired() {
		return known
	}
	if d.of == nil {
		d.of = map[string]*description{}
	}
	d.remove(up.ID)
	if d.full() {
		d.clear()
	}
	known = &description{created: up.Created, attributes: map[string]*attribute{}}
	d.of[up.ID] = known
	return known
}

func (d *description) expired() bool {
	return d.requests == 0 && time.Since(d.last) > descriptionTTL
}

// full reports whether there is no room for another description.
func (d *descriptions) full() bool {
	return len(d.of) >= maxDescriptions || d.count+maxAttributes > maxAllAttributes
}

// clear removes expired descriptions, or all of them if that makes no room.
func (d *descriptions) clear() {
	for id, known := range d.of {
		if known.expired() {
			d.remove(id)
		}
	}
	if !d.full() {
		return
	}
	for id := range d.of {
		d.remove(id)
	}
}

func (d *descriptions) remove(id string) {
	if known := d.of[id]; known != nil {
		known.removed = true
		d.count -= len(known.attributes)
		delete(d.of, id)
	}
}

// describe returns what a request declares about its file, by attribute. The generic type
// application/octet-stream is left out: clients often send chunks of other types with it.
// Values are abbreviated.
func describe(p put, h http.Header) map[string]string {
	declared := map[string]string{}
	meta := metadata(h)
	if typ := meta["filetype"]; typ != "" && typ != "application/octet-stream" {
		declared["Content-Type"] = abbreviate(typ)
	}
	if name := meta["filename"]; name != "" {
		declared["the file name"] = abbreviate(name)
	}
	for _, line := range h.Values("Content-Digest") {
		for member := range strings.SplitSeq(line, ",") {
			algorithm, value, ok := strings.Cut(strings.TrimSpace(member), "=")
			if ok && p.end != unknown {
				declared[fmt.Sprintf("the %s of %d-%d", abbreviate(algorithm), p.start, p.end-1)] = abbreviate(value)
			}
		}
	}
	return declared
}

// abbreviate returns text, or its beginning and its hash if it is longer than maxValue
// bytes.
func abbreviate(text string) string {
	if len(text) <= maxValue {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return text[:maxValue-2*len(sum)] + hex.EncodeToString(sum[:])
}
