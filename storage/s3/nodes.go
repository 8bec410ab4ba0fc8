package s3

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
)

// Each process reports itself in the bucket, with an object that it renews:
//
//	PREFIX.holdfast/nodes/NODE
//
// It is no part of the state of any upload. One that is not renewed is from a process that
// has crashed, and says nothing.

const (
	// nodeInterval is the time between two reports of a node.
	nodeInterval = time.Minute
	// forgetNodesAfter is how many intervals the last report of a crashed node stays.
	forgetNodesAfter = 60
)

// report is what a node says of itself.
type report struct {
	Host    string    `json:"host"`
	Started time.Time `json:"started"`
	Shared  bool      `json:"shared"` // it shares locks and state by Redis
	Renewed int       `json:"renewed"`
}

// watch watches the reports of nodes.
type watch struct {
	store  *Store
	own    report
	key    string
	known  map[string]string   // ETag of each report when it was first listed, by key
	warned map[string]struct{} // keys
}

func (s *Store) nodeKey(id string) string { return s.opts.Prefix + ".holdfast/nodes/" + id }

// Run implements storage.Runner: it reports this process in the bucket, and warns in the log of
// other processes that use it too, unless both share locks and state, as an Arbiter shows.
//
// If S3 does not decide which of concurrent writers creates an object, and there is no shared
// Arbiter, the process that was started later creates no more uploads, and Check fails.
func (s *Store) Run(ctx context.Context) {
	host, _ := os.Hostname() // only for the log
	w := &watch{
		store: s, own: report{Host: host, Started: s.opts.now(), Shared: s.opts.Arbiter != nil}, key: s.nodeKey(rand.Text()),
		known: map[string]string{}, warned: map[string]struct{}{},
	}
	tick := time.NewTicker(s.opts.nodeInterval)
	defer tick.Stop()
	for {
		w.round(ctx)
		select {
		case <-ctx.Done():
			w.leave()
			return
		case <-tick.C:
		}
	}
}

// round renews the own report and looks at the others. An error says nothing of other nodes;
// the next round tries again.
func (w *watch) round(ctx context.Context) {
	w.own.Renewed++
	if err := w.put(ctx); err != nil {
		w.store.opts.Log.DebugContext(ctx, "the report of this node was not renewed", "error", err)
	}
	var crashed []string
	var older *report
	for e, err := range w.store.client.List(ctx, w.store.nodeKey("")) {
		if err != nil {
			return
		}
		first, known := w.known[e.Key]
		switch {
		case e.Key == w.key:
		case w.store.opts.now().Sub(e.Stored) > forgetNodesAfter*w.store.opts.nodeInterval:
			crashed = append(crashed, e.Key)
		case !known:
			w.known[e.Key] = e.ETag
		case first != e.ETag && w.store.opts.now().Sub(e.Stored) < 3*w.store.opts.nodeInterval+time.Second:
			if other := w.renewed(ctx, e.Key); other != nil {
				older = other
			}
		}
	}
	w.store.olderNode.Store(older)
	_ = w.store.client.Remove(ctx, crashed...) // on failure the next round tries again
}

func (w *watch) put(ctx context.Context) error {
	text, err := json.Marshal(w.own)
	if err != nil {
		return err
	}
	// Not canceled with ctx: S3 might store it after leave has removed it.
	return w.store.client.Put(context.WithoutCancel(ctx), api.JSONObject(w.key, text))
}

// renewed handles a report of another live node. It returns the report if this node must not
// create uploads beside that one.
func (w *watch) renewed(ctx context.Context, key string) *report {
	var other report
	if err := w.store.loadJSON(ctx, key, &other); err != nil || other.Shared && w.own.Shared {
		return nil
	}
	s := w.store
	decides := s.client.Can.PutIfAbsent && s.client.Can.CompleteIfAbsent || s.opts.Arbiter != nil
	stops := !decides && (other.Started.Before(w.own.Started) || other.Started.Equal(w.own.Started) && key < w.key)
	if _, warned := w.warned[key]; !warned {
		w.warned[key] = struct{}{}
		message := "another holdfast uses this bucket and shares no Redis with this one: they may report old offsets and deliver events twice; give all of them the same --redis"
		if stops {
			message += "; this node creates no uploads, because on this S3 server both could create the same one"
		}
		s.opts.Log.WarnContext(ctx, message, "host", other.Host, "started", other.Started, "node", strings.TrimPrefix(key, s.nodeKey("")))
	}
	if !stops {
		return nil
	}
	return &other
}

// leave removes the own report.
func (w *watch) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = w.store.client.Remove(ctx, w.key) // on failure another node does so later
}

var errOtherNode = errors.New("another node without a shared Redis uses the bucket, and S3 does not decide between them")

// besideOlder returns an error if this node must not create uploads, because of an older one.
func (s *Store) besideOlder(op, id string) error {
	older := s.olderNode.Load()
	if older == nil {
		return nil
	}
	return storage.Unavailable(op, id, fmt.Errorf("%w: on %s, since %s", errOtherNode, older.Host, older.Started.Format(time.RFC3339)))
}
