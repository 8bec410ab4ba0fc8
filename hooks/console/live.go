package console

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

const (
	// maxRows is the maximum number of uploads in each list of a process.
	maxRows = 200
	// liveFor is how long after its last byte an upload counts as one that is being received.
	liveFor = time.Minute
	// keptFor is how long an upload keeps its row while others need one.
	keptFor = 10 * time.Second
	// finishedFor is how long a finished upload is shown.
	finishedFor = time.Hour
	// maxKept is the maximum number of ranges that a row keeps; of more it keeps the map.
	maxKept = 500
	// maxText is the maximum length of a text that a client or the app chose, in bytes.
	maxText = 160
	// rateOver is the time over which the rate of an upload is measured.
	rateOver = 20 * time.Second
)

// Row is an upload as the page shows it. Times are in milliseconds since 1970.
type Row struct {
	ID       string `json:"id"`
	Name     string `json:"name,omitempty"`
	Owner    string `json:"owner,omitempty"`
	Protocol string `json:"protocol,omitempty"` // of the last request that stored bytes
	Node     string `json:"node,omitempty"`
	Size     int64  `json:"size"` // -1 while unknown
	Received int64  `json:"received"`
	Ranges   int    `json:"ranges"`
	Rate     int64  `json:"rate"`          // bytes per second
	Map      string `json:"map,omitempty"` // see coverage
	Created  int64  `json:"created"`
	Last     int64  `json:"last"` // when the last bytes were stored, or the upload was finished
	Expires  int64  `json:"expires,omitempty"`
}

func rowOf(up storage.Upload) Row {
	row := Row{
		ID: up.ID, Name: shorten(up.DisplayName()), Owner: shorten(up.Owner), Size: up.Size,
		Received: up.Received.Bytes(), Ranges: up.Received.Count(), Created: millis(up.Created), Last: millis(up.ModifiedAt),
	}
	if up.Finished {
		row.Received, row.Ranges = up.Size, 1
	}
	return row
}

// shorten returns the beginning of a text, without a broken character at its end.
func shorten(text string) string {
	if len(text) > maxText {
		text = text[:maxText] + "…"
	}
	return strings.ToValidUTF8(text, "")
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// live holds the uploads that this process is receiving, and those that it has finished
// lately.
type live struct {
	mu       sync.Mutex
	uploads  map[string]*liveUpload
	finished []Row     // the latest first
	fullAt   time.Time // when an upload last got no row
}

// liveUpload is an upload that is being received.
type liveUpload struct {
	row      Row
	received ranges.Set // as far as row.Map is empty
	last     time.Time
	samples  []sample // ascending: the last before rateOver, and those since
}

// sample is how many bytes were received at a time.
type sample struct {
	at       time.Time
	received int64
}

// progress is for storage.Observer.Progress.
func (l *live) progress(ctx context.Context, up storage.Upload, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.get(up.ID, now)
	if u == nil {
		return
	}
	u.row = rowOf(up)
	u.row.Protocol = protocol.ExchangeOf(ctx).Protocol()
	u.received, u.last = up.Received, now
	if up.Received.Count() > maxKept {
		u.row.Map, u.received = coverage(up.Received, up.Size), ranges.Set{}
	}
	u.addSample(sample{now, u.row.Received})
}

// get returns the row of an upload, nil if there is none left. The caller holds l.mu.
func (l *live) get(id string, now time.Time) *liveUpload {
	if u, ok := l.uploads[id]; ok {
		return u
	}
	if len(l.uploads) >= maxRows && !l.evict(now) {
		l.fullAt = now
		return nil
	}
	if l.uploads == nil {
		l.uploads = map[string]*liveUpload{}
	}
	u := &liveUpload{}
	l.uploads[id] = u
	return u
}

// evict removes the upload that was idle the longest, if it was for keptFor.
func (l *live) evict(now time.Time) bool {
	oldest, at := "", now.Add(-keptFor)
	for id, u := range l.uploads {
		if u.last.Before(at) {
			oldest, at = id, u.last
		}
	}
	delete(l.uploads, oldest)
	return oldest != ""
}

// addSample keeps one sample per half second.
func (u *liveUpload) addSample(s sample) {
	for len(u.samples) > 1 && s.at.Sub(u.samples[1].at) > rateOver {
		u.samples = slices.Delete(u.samples, 0, 1)
	}
	if n := len(u.samples); n > 1 && s.at.Sub(u.samples[n-2].at) < time.Second/2 {
		u.samples[n-1] = s
		return
	}
	u.samples = append(u.samples, s)
}

// rate returns the bytes per second since the last sample before rateOver, or the first one.
func (u *liveUpload) rate(now time.Time) int64 {
	from := 0
	for from+1 < len(u.samples) && now.Sub(u.samples[from+1].at) > rateOver {
		from++
	}
	if len(u.samples) == 0 {
		return 0
	}
	took := max(now.Sub(u.samples[from].at), time.Second)
	return int64(float64(max(0, u.row.Received-u.samples[from].received)) / took.Seconds())
}

// event is for storage.Observer.Event.
func (l *live) event(ctx context.Context, e storage.Event, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Type == storage.Created {
		if u := l.get(e.Upload.ID, now); u != nil && len(u.samples) == 0 {
			u.row, u.last = rowOf(e.Upload), now
			u.row.Protocol = protocol.ExchangeOf(ctx).Protocol()
			u.addSample(sample{now, u.row.Received})
		}
		return
	}
	delete(l.uploads, e.Upload.ID)
	if e.Type != storage.Finished || !e.Local {
		return
	}
	row := rowOf(e.Upload)
	row.Protocol, row.Last = protocol.ExchangeOf(ctx).Protocol(), millis(now)
	l.finished = slices.Insert(l.finished, 0, row)
	l.finished = l.finished[:min(len(l.finished), maxRows)]
}

// rows returns what is being received, the newest upload first, and what was finished. full
// reports that more is being received than there are rows.
func (l *live) rows(now time.Time) (receiving, finished []Row, full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	receiving = []Row{}
	for id, u := range l.uploads {
		if now.Sub(u.last) > liveFor {
			delete(l.uploads, id)
			continue
		}
		row := u.row
		if row.Map == "" {
			row.Map = coverage(u.received, row.Size)
		}
		row.Rate, row.Last = u.rate(now), millis(u.last)
		receiving = append(receiving, row)
	}
	slices.SortFunc(receiving, newestFirst)
	l.finished = slices.DeleteFunc(l.finished, func(r Row) bool { return r.Last < millis(now.Add(-finishedFor)) })
	return receiving, slices.Clone(l.finished), now.Sub(l.fullAt) < keptFor
}

func newestFirst(a, b Row) int {
	if a.Created != b.Created {
		return int(min(1, max(-1, b.Created-a.Created)))
	}
	return strings.Compare(a.ID, b.ID)
}
