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

// moment is the content of a bucket at one time.
type moment struct {
	at      time.Time
	objects map[string]listed // by key
	created bool
	acked   ranges.Set // the bytes that were acknowledged
}

type listed struct {
	Key          string
	LastModified string
	ETag         string
	Size         int64
}

// bucketHistory is a transport between a node and S3. It records the content of the bucket
// before each request that changes it, and then calls the test.
type bucketHistory struct {
	store *Store // lists the bucket
	clock *fakeClock
	state func() (created bool, acked ranges.Set)
	check func() // called at each moment, before the next change

	mu      sync.Mutex
	moments []moment
}

// changes reports whether a request changes the content of a bucket.
func changes(r *http.Request) bool {
	return r.Method == http.MethodPut || r.Method == http.MethodPost || r.Method == http.MethodDelete
}

// RoundTrip implements http.RoundTripper. It serializes changes.
func (h *bucketHistory) RoundTrip(r *http.Request) (*http.Response, error) {
	if !changes(r) {
		return plain.RoundTrip(r)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.add(r.Context()); err != nil {
		return nil, err
	}
	h.check()
	h.clock.advance(time.Second)
	return plain.RoundTrip(r)
}

// add records the content of the bucket. Objects that have changed since the last moment
// get the current time of the test's clock as LastModified.
func (h *bucketHistory) add(ctx context.Context) error {
	m := moment{at: h.clock.now(), objects: map[string]listed{}}
	m.created, m.acked = h.state()
	for page, err := range h.store.client.Pages(ctx, "") {
		if err != nil {
			return err
		}
		for _, e := range page {
			m.objects[e.Key] = listed{e.Key, m.at.UTC().Format("2006-01-02T15:04:05.000Z"), e.Modified.String(), e.Size}
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

// tornListings returns, by description, the inconsistent listings that S3 may return when the
// bucket changes during the listing. They must show what was acknowledged when it began.
func tornListings(before, now moment) map[string]moment {
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
		"old folder, new subfolder":          pick(now, before),
		"new folder, old subfolder":          pick(before, now),
		"objects that were there both times": both,
	}
}

func (m moment) keys() string { return strings.Join(slices.Sorted(maps.Keys(m.objects)), "\n") }

// tornS3 is an S3 whose nth listing, from 1 on, mixes two moments and takes as long as they
// are apart. All other responses show the second moment. Changes are rejected, unless writable.
type tornS3 struct {
	clock *fakeClock // of the node that uses it

	mu       sync.Mutex
	nth      int // which listing is torn
	listings int
	shown    moment   // by that listing
	now      moment   // by the others
	writable bool     // whether changes are accepted
	rejected []string // the changes that were rejected
}

func (s *tornS3) show(nth int, shown, now moment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock.set(shown.at)
	s.nth, s.listings, s.shown, s.now, s.rejected = nth, 0, shown, now, nil
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
		s.rejected = append(s.rejected, fmt.Sprintf("%s %s %s", op, r.URL.Path, text))
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
	resp := refusal(r, http.StatusOK)
	resp.Header.Set("Date", s.now.at.UTC().Format(http.TimeFormat))
	resp.Body = io.NopCloser(strings.NewReader(string(text)))
	return resp
}

// tornNode returns a node that uses a tornS3.
func tornNode(t *testing.T, opts Options) (*node, *tornS3) {
	t.Helper()
	clock := &fakeClock{}
	opts.now = clock.now
	n, s3 := startNode(t, opts), &tornS3{clock: clock}
	n.wire.next, n.clock = s3, clock.now
	return n, s3
}

// clearCaches removes all that a node has cached.
func (n *node) clearCaches() {
	n.Uploads = n.core(new(storage.MemoryCache))
	n.store.layouts, n.store.missing = map[string]cachedLayout{}, map[string]time.Time{}
	for id := range n.store.needless.byUpload {
		n.store.needless.take(id)
	}
}
