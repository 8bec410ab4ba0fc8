package s3

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// moment is what a bucket holds at one time.
type moment struct {
	at      time.Time
	objects map[string]listed // by key
	created bool
	acked   ranges.Set // what was acknowledged
}

type listed struct {
	Key          string
	LastModified string
	ETag         string
	Size         int64
}

// bucketHistory lies between a node and S3. It remembers what the bucket holds before each
// request that changes that, and shows it to the test.
type bucketHistory struct {
	store *Store // lists the bucket
	clock *fakeClock
	state func() (created bool, acked ranges.Set)
	look  func() // called at each moment, before the next change

	mu      sync.Mutex
	moments []moment
}

// changes reports whether a request changes what a bucket holds.
func changes(r *http.Request) bool {
	return r.Method == http.MethodPut || r.Method == http.MethodPost || r.Method == http.MethodDelete
}

// RoundTrip implements http.RoundTripper. Changes come one after the other.
func (h *bucketHistory) RoundTrip(r *http.Request) (*http.Response, error) {
	if !changes(r) {
		return plain.RoundTrip(r)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.add(r.Context()); err != nil {
		return nil, err
	}
	h.look()
	h.clock.advance(time.Second)
	return plain.RoundTrip(r)
}

// add remembers what the bucket holds now. What has changed since the last moment has
// changed now, by the clock of the test.
func (h *bucketHistory) add(ctx context.Context) error {
	m := moment{at: h.clock.now(), objects: map[string]listed{}}
	m.created, m.acked = h.state()
	for page, err := range h.store.client.pages(ctx, "") {
		if err != nil {
			return err
		}
		for _, e := range page {
			m.objects[e.key] = listed{e.key, m.at.UTC().Format("2006-01-02T15:04:05.000Z"), e.modified.String(), e.size}
		}
	}
	if n := len(h.moments); n > 0 {
		for key, before := range h.moments[n-1].objects {
			if o, there := m.objects[key]; there && o.ETag == before.ETag && o.Size == before.Size {
				m.objects[key] = before
			}
		}
	}
	h.moments = append(h.moments, m)
	return nil
}

// torn are the listings that a bucket may show which was one thing when the listing began
// and another when it ended, by what they are made of. What was acknowledged when it began
// is to be there.
func torn(before, now moment) map[string]moment {
	deep := func(key string) bool {
		_, name, _ := strings.Cut(strings.TrimPrefix(key, ".holdfast/live/"), "/")
		return strings.Contains(name, "/")
	}
	compose := func(from func(key string) moment) moment {
		m := before
		m.objects = map[string]listed{}
		for _, of := range []moment{before, now} {
			for key := range of.objects {
				if o, there := from(key).objects[key]; there {
					m.objects[key] = o
				}
			}
		}
		return m
	}
	both := before
	both.objects = maps.Clone(now.objects)
	maps.DeleteFunc(both.objects, func(key string, _ listed) bool { return before.objects[key].Key == "" })
	pick := func(deepFrom, restFrom moment) moment {
		return compose(func(key string) moment {
			if deep(key) {
				return deepFrom
			}
			return restFrom
		})
	}
	return map[string]moment{
		"the folder as it was, its subfolder as it is": pick(now, before),
		"the folder as it is, its subfolder as it was": pick(before, now),
		"what was there both times":                    both,
	}
}

func (m moment) keys() string { return strings.Join(slices.Sorted(maps.Keys(m.objects)), "\n") }

// tornS3 is an S3 whose nth listing from 1 on is made of two moments, and takes as long as
// they are apart. All else it shows as it is at the second one, and it changes nothing.
type tornS3 struct {
	clock *fakeClock // of the node that asks

	mu       sync.Mutex
	nth      int // which listing is torn
	listings int
	shown    moment   // by that one
	now      moment   // by the others
	writable bool     // it takes changes
	refused  []string // the changes that were asked for, if it does not
}

func (s *tornS3) show(nth int, shown, now moment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock.set(shown.at)
	s.nth, s.listings, s.shown, s.now, s.refused = nth, 0, shown, now, nil
}

// RoundTrip implements http.RoundTripper.
func (s *tornS3) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch op := operation(r); {
	case op == "list":
		return s.list(r), nil
	case changes(r) && !s.writable:
		text, _ := io.ReadAll(r.Body)
		s.refused = append(s.refused, fmt.Sprintf("%s %s %s", op, r.URL.Path, text))
		return refusal(r, http.StatusForbidden), nil
	}
	return plain.RoundTrip(r)
}

func (s *tornS3) list(r *http.Request) *http.Response {
	var page struct {
		XMLName  xml.Name `xml:"ListBucketResult"`
		Contents []listed
	}
	s.clock.set(s.now.at)
	shown := s.now
	if s.listings++; s.listings == s.nth {
		shown = s.shown
	}
	for _, key := range slices.Sorted(maps.Keys(shown.objects)) {
		if strings.HasPrefix(key, r.URL.Query().Get("prefix")) {
			page.Contents = append(page.Contents, shown.objects[key])
		}
	}
	text, _ := xml.Marshal(page) // it has strings and numbers
	answer := refusal(r, http.StatusOK)
	answer.Header.Set("Date", s.now.at.UTC().Format(http.TimeFormat))
	answer.Body = io.NopCloser(strings.NewReader(string(text)))
	return answer
}

// tornNode returns a node that asks such an S3.
func tornNode(t *testing.T, opts Options) (*node, *tornS3) {
	t.Helper()
	clock := &fakeClock{}
	opts.now = clock.now
	n, s3 := startNode(t, opts), &tornS3{clock: clock}
	n.wire.next, n.clock = s3, clock.now
	return n, s3
}

// forgetAll makes a node know nothing of what is there.
func (n *node) forgetAll() {
	n.Uploads = n.core(new(storage.MemoryCache))
	n.store.layouts, n.store.missing = map[string]cachedLayout{}, map[string]time.Time{}
	for id := range n.store.needless.byUpload {
		n.store.needless.take(id)
	}
}
