package s3

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// These tests recreate the conditions under which upload servers have lost data, as far as
// they can arise between the core and S3.

func bucket(t *testing.T) Options {
	t.Helper()
	useKeys(t)
	return options(servers.S3(t).URL("http"))
}

// begunOn creates an upload of three parts, of which nothing has been sent.
func begunOn(t *testing.T, n *node) *phone {
	t.Helper()
	c := &phone{t: t, node: n, data: storagetest.Content(9, threeCells)}
	c.create(storage.Record{Size: threeCells})
	return c
}

var whole = ranges.Of(0, threeCells)

// sendOnce sends a chunk without retries.
func (c *phone) sendOnce(r ranges.Range) error {
	up, err := c.node.Write(c.t.Context(), c.id, chunk(c.data, r))
	if err == nil {
		c.ack(r)
	}
	for _, r := range up.Received.Ranges() {
		c.ack(r)
	}
	return err
}

// goOn continues on another node from the offset that this reports.
func (c *phone) goOn(n *node) {
	c.t.Helper()
	c.check(n)
	c.node = n
	up, err := n.Get(c.t.Context(), c.id)
	if err != nil {
		c.t.Fatalf("get: %v", err)
	}
	if up.Offset() < up.Size {
		c.send(ranges.Range{Start: up.Offset(), End: up.Size})
	}
	c.finish()
}

func TestF01AnUploadContinuesAfterAnEarlierPartFailed(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	c := begunOn(t, n)
	n.wire.inject(fault{"part", 1, fails})
	if err := c.sendOnce(whole); !storage.Transient(err) {
		t.Errorf("write: %v, want a transient error", err)
	}
	c.goOn(n)
}

func TestF02AnUploadKilledWithALaterPartStoredContinues(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	c := begunOn(t, n)
	c.send(ranges.Range{Start: 2 * layout.MinPart, End: threeCells})
	c.send(ranges.Of(layout.MinPart, layout.MinPart))
	n.wire.inject(fault{"part", 1, fails})
	_ = c.sendOnce(ranges.Of(0, layout.MinPart))
	c.goOn(startNode(t, opts))
}

func TestF03ACrashWhileFragmentsAreMergedLosesNoBytes(t *testing.T) {
	opts := bucket(t)
	for _, f := range []fault{{"put layout", 1, fails}, {"part", 1, fails}, {"part", 1, doneButFail}, {"delete", 1, fails}, {"put fragment", 2, doneButFail}} {
		opts.Prefix = strings.ReplaceAll(f.op+string(f.what), " ", "-") + "/"
		n := startNode(t, opts)
		c := begunOn(t, n)
		c.send(ranges.Of(0, layout.MinPart-1000))
		n.wire.inject(f)
		_ = c.sendOnce(ranges.Of(layout.MinPart-1000, 5000))
		c.goOn(startNode(t, opts))
	}
}

func TestF04AnUploadWhoseMultipartUploadVanishedIsNotComplete(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	c := begunOn(t, n)
	c.send(ranges.Of(0, 2*layout.MinPart))
	l, err := n.store.loadLayout(t.Context(), storage.Record{ID: c.id})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.store.client.Abort(t.Context(), n.store.fileKey(storage.Record{ID: c.id}), l.UploadID); err != nil {
		t.Fatal(err)
	}
	if err := c.sendOnce(ranges.Range{Start: 2 * layout.MinPart, End: threeCells}); err == nil {
		t.Error("an upload whose parts are gone was accepted as complete")
	}
	// S3 may be assembling the file right now: the upload is not gone yet, and must not be removed.
	early := startNode(t, opts)
	_ = early.Sweep(t.Context()) // it fails: the upload can't be loaded
	if _, err := early.Get(t.Context(), c.id); !storage.Transient(err) {
		t.Errorf("get at first: %v, want a transient error", err)
	}
	opts.lostGrace = time.Millisecond
	hasty := startNode(t, opts)
	_, _ = hasty.Get(t.Context(), c.id)
	time.Sleep(5 * time.Millisecond)
	if _, err := hasty.Get(t.Context(), c.id); !errors.Is(err, storage.ErrGone) {
		t.Errorf("get after lostGrace: %v, want ErrGone", err)
	}
	hasty.sweepLater(t)
	hasty.sweepLater(t)
	wantOnly(t, hasty.store)
}

// partlessS3 is an S3 that, while on, shows multipart uploads without their parts, as some
// servers do when a part arrives during completion.
type partlessS3 struct {
	on    atomic.Bool
	parts string // the content of the part listing
}

func (h *partlessS3) RoundTrip(r *http.Request) (*http.Response, error) {
	op := operation(r)
	if !h.on.Load() || op != "list parts" && op != "complete" {
		return plain.RoundTrip(r)
	}
	resp := refusal(r, http.StatusOK)
	resp.Body = io.NopCloser(strings.NewReader("<ListPartsResult>" + h.parts + "</ListPartsResult>"))
	if op == "complete" {
		resp.StatusCode = http.StatusBadRequest
		resp.Body = io.NopCloser(strings.NewReader("<Error><Code>InvalidPart</Code><Message>made up</Message></Error>"))
	}
	return resp, nil
}

// While S3 does not list the parts, a node must not send the client back to offset 0 before
// lostGrace has passed. A node without the parts in its cache sees that the multipart upload was
// recreated.
func TestF04PartsThatVanishTemporarilyAreNotRequestedAgain(t *testing.T) {
	const recreated = "<ChecksumAlgorithm>null</ChecksumAlgorithm>"
	for name, tt := range map[string]struct {
		parts     string
		other     bool // the client asks another node
		lostGrace time.Duration
		offset    int64 // -1: unavailable
		gone      bool
	}{
		"temporarily, cached":     {offset: -1},
		"permanently, cached":     {lostGrace: time.Millisecond, offset: 0},
		"temporarily, not cached": {parts: recreated, other: true, offset: -1},
		"permanently, not cached": {parts: recreated, other: true, lostGrace: time.Millisecond, offset: -1, gone: true},
	} {
		t.Run(name, func(t *testing.T) {
			opts := bucket(t)
			opts.lostGrace = tt.lostGrace
			n, s3 := startNode(t, opts), &partlessS3{parts: tt.parts}
			n.wire.next = s3
			c := begunOn(t, n)
			c.send(ranges.Of(0, 2*layout.MinPart))
			s3.on.Store(true)
			if err := c.sendOnce(ranges.Range{Start: 2 * layout.MinPart, End: threeCells}); err == nil {
				t.Error("an upload whose parts are missing was accepted as complete")
			}
			asked := n
			if tt.other {
				asked = startNode(t, opts)
				asked.wire.next = s3
				_, _ = asked.Get(t.Context(), c.id)
				time.Sleep(5 * time.Millisecond)
			}
			offset := int64(-1)
			up, err := asked.Get(t.Context(), c.id)
			if err == nil {
				offset = up.Offset()
			} else if errors.Is(err, storage.ErrGone) != tt.gone || storage.Transient(err) == tt.gone {
				t.Errorf("get: %v, want gone %v", err, tt.gone)
			}
			if offset != tt.offset {
				t.Errorf("get: offset %d, %v, want %d", offset, err, tt.offset)
			}
			s3.on.Store(false)
			c.goOn(n)
			c.wantFile(n)
			wantOnly(t, n.store, c.id)
		})
	}
}

func TestF05AFailedFinishIsCompletedByAnotherNode(t *testing.T) {
	opts := bucket(t)
	for _, what := range []outcome{fails, doneButFail, answerLost, lies} {
		opts.Prefix = strings.ReplaceAll(string(what), " ", "-") + "/"
		n := startNode(t, opts)
		c := begunOn(t, n)
		n.wire.inject(fault{"complete", 1, what})
		_ = c.sendOnce(whole)
		other := startNode(t, opts)
		if err := other.Sweep(t.Context()); err != nil {
			t.Errorf("sweep: %v", err)
		}
		c.wantFile(other)
		if n.delivered[c.id]+other.delivered[c.id] == 0 {
			t.Errorf("%s: no event was delivered", what)
		}
	}
}

func TestF07AShortLastChunkOfUnknownLengthIsKept(t *testing.T) {
	opts := bucket(t)
	for _, size := range []int64{1, layout.MinPart - 1, layout.MinPart, layout.MinPart + 1, 2*layout.MinPart + 77} {
		n := startNode(t, opts)
		c := &phone{t: t, node: n, data: storagetest.Content(uint64(size), size)}
		c.create(storage.Record{Size: storage.Unknown})
		for _, r := range storagetest.Chunks(size, 2_000_003) {
			c.send(r)
		}
		c.node = startNode(t, opts)
		c.check(c.node)
		c.declare()
		c.finish()
	}
}

// A client that is interrupted thousands of times leaves few objects: those that are needed,
// and those that were merged recently.
func TestF09FragmentsStayFew(t *testing.T) {
	opts := bucket(t)
	for name, memory := range map[string]int64{"with memory": 64 * layout.MiB, "without": 0} {
		opts.Memory, opts.Prefix = memory, name[:4]+"/"
		n := startNode(t, opts)
		c := &phone{t: t, node: n, data: storagetest.Content(3, layout.MinPart+60_000)}
		c.create(storage.Record{Size: int64(len(c.data))})
		chunks := storagetest.Chunks(int64(len(c.data)), 2_503)
		for i, r := range chunks {
			broken := io.MultiReader(chunk(c.data, r).Body, iotest.ErrReader(io.ErrUnexpectedEOF))
			up, err := n.Write(t.Context(), c.id, storage.Chunk{Offset: r.Start, Length: int64(len(c.data)) - r.Start, Body: broken})
			if r.End < up.Size && !errors.Is(err, storage.ErrBodyAborted) || !up.Has(r) {
				t.Fatalf("write %v: %v; %v is there", r, err, up.Received)
			}
			c.ack(r)
			if i%200 == 199 {
				wantFewObjects(t, n.store, c.id)
				c.check(startNode(t, opts))
			}
		}
		c.finish()
		t.Logf("%s: %d requests for %d chunks", name, n.wire.reset(), len(chunks))
	}
}

func wantFewObjects(t *testing.T, s *Store, id string) {
	t.Helper()
	if before := len(s.needless.keys); before > 200+200/layout.MaxFragments+layout.MaxFragments+1 {
		t.Errorf("%d needless objects after 200 chunks", before)
	}
	if err := s.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err := s.list(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.fragments) > layout.MaxFragments+1 {
		t.Errorf("%d fragments, want at most %d", len(l.fragments), layout.MaxFragments+1)
	}
}

func TestF13AnEmptyFileYieldsAnObjectAndOneEvent(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	c := &phone{t: t, node: n}
	c.create(storage.Record{Size: 0})
	c.finish()
	if n.delivered[c.id] != 1 {
		t.Errorf("%d events, want 1", n.delivered[c.id])
	}
	wantOnly(t, n.store, c.id)
}

func TestF13AnEmptyBodyOfUnknownLengthYieldsAnEmptyFile(t *testing.T) {
	n := startNode(t, bucket(t))
	c := &phone{t: t, node: n}
	c.create(storage.Record{Size: storage.Unknown})
	if _, err := n.Write(t.Context(), c.id, storage.Chunk{Length: storage.Unknown, Body: strings.NewReader("")}); err != nil {
		t.Fatal(err)
	}
	if n.wire.calls()["begin"] > 0 {
		t.Error("a multipart upload was created for an empty file")
	}
	c.declare()
	c.finish()
	wantOnly(t, n.store, c.id)
}

func TestF13AnEmptyFileWithAMultipartUploadIsFinished(t *testing.T) {
	opts := bucket(t)
	for name, deferred := range map[string]bool{"put at once": false, "deferred": true} {
		opts.DeferFile, opts.Prefix = deferred, name[:3]+"/"
		n := startNode(t, opts)
		c := &phone{t: t, node: n}
		c.create(storage.Record{Size: storage.Unknown})
		up, err := n.store.Load(t.Context(), c.id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.store.createLayout(t.Context(), up, layout.Choose(layout.MinPart, storage.Unknown, storage.Unknown)); err != nil {
			t.Fatal(err)
		}
		c.declare()
		c.finish()
		if _, multiparts := leftIn(t, n.store); len(multiparts) > 0 {
			t.Errorf("%s: the multipart upload was left behind", name)
		}
	}
}

// tus allows a client 64 KiB of metadata, S3 only 2 KB. Long metadata must not prevent a file
// from being finished, and the record keeps all of it.
func TestAFileMayHaveALongNameAndType(t *testing.T) {
	n := startNode(t, bucket(t))
	for what, meta := range map[string]map[string]string{
		"a name":                      {"filename": strings.Repeat("a", 45_000) + ".mp4"},
		"a name in other characters":  {"filename": strings.Repeat("😀", 11_000) + ".mp4"},
		"a type":                      {"filetype": "text/plain; a=" + strings.Repeat("a", 45_000)},
		"a name and a type, not long": {"filename": strings.Repeat("ü", 255), "filetype": "text/plain; a=" + strings.Repeat("a", 240)},
	} {
		for _, size := range []int64{1000, threeCells} {
			c := &phone{t: t, node: n, data: storagetest.Content(1, size)}
			c.create(storage.Record{Size: size, Metadata: meta})
			c.send(ranges.Of(0, size))
			c.finish()
			if up, err := n.Get(t.Context(), c.id); err != nil || !maps.Equal(up.Metadata, meta) {
				t.Errorf("%s: %d bytes of metadata, %v", what, len(fmt.Sprint(up.Metadata)), err)
			}
		}
	}
}

func TestF16ASweepRemovesAbandonedUploadsEntirely(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	for _, r := range []ranges.Range{{}, ranges.Of(0, 1000), ranges.Of(3, layout.MinPart+1000), ranges.Of(layout.MinPart, layout.MinPart)} {
		for _, size := range []int64{threeCells, storage.Unknown} {
			c := &phone{t: t, node: n, data: storagetest.Content(9, threeCells)}
			c.create(storage.Record{Size: size})
			c.send(r)
		}
	}
	other := startNode(t, opts)
	other.sweepLater(t)
	wantOnly(t, other.store)
}

// Bytes of a chunk that arrives slowly are flushed, so that other nodes see them and when they
// were stored.
func TestF16BytesOfASlowClientAreStoredBeforeTheUploadCanExpire(t *testing.T) {
	opts := bucket(t)
	n, other := startNode(t, opts), startNode(t, opts)
	c := begunOn(t, n)
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := n.Write(t.Context(), c.id, storage.Chunk{Length: threeCells, Body: r})
		done <- err
	}()
	sent := int64(0)
	send := func(until int64) {
		_, _ = w.Write(c.data[sent:until])
		sent = until
	}
	for _, until := range []int64{1000, layout.MinPart - 1000, layout.MinPart + 1000} {
		send(until)
		n.mu.Lock()
		n.late += 31 * time.Minute // of the hour after which the upload expires
		n.mu.Unlock()
		send(until + 1) // triggers a flush, if none has run meanwhile
		c.ack(ranges.Of(0, until))
		for began := time.Now(); time.Since(began) < 30*time.Second; {
			if up, err := other.store.Load(t.Context(), c.id); err == nil && up.Offset() >= until {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		c.check(startNode(t, opts))
	}
	send(threeCells)
	_ = w.Close()
	if err := <-done; err != nil {
		t.Errorf("write: %v", err)
	}
	c.goOn(other)
	c.wantFile(n)
}

// A shutdown aborts request bodies. The bytes received before are there for the next process.
func TestF17BytesReceivedBeforeAShutdownAreStored(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	c := begunOn(t, n)
	chunks := storagetest.Chunks(threeCells, 2_000_003)
	parallel(len(chunks), len(chunks), func(i int) {
		received := ranges.Range{Start: chunks[i].Start, End: chunks[i].End - 1000}
		broken := io.MultiReader(chunk(c.data, received).Body, iotest.ErrReader(io.ErrUnexpectedEOF))
		if up, err := n.Write(t.Context(), c.id, storage.Chunk{Offset: received.Start, Length: chunks[i].Len(), Body: broken}); !errors.Is(err, storage.ErrBodyAborted) || !up.Has(received) {
			t.Errorf("write %v: %v", received, err)
		}
		c.ack(received)
	})
	c.goOn(startNode(t, opts))
}

func TestF18LeftoversOfACrashAreRemoved(t *testing.T) {
	opts := bucket(t)
	for _, f := range []fault{{"begin", 1, doneButFail}, {"put layout", 1, fails}, {"put layout", 1, doneButFail}} {
		n := startNode(t, opts)
		c := begunOn(t, n)
		n.wire.inject(f)
		if err := c.sendOnce(whole); err == nil {
			t.Errorf("%s %s: the write succeeded", f.op, f.what)
		}
	}
	other := startNode(t, opts)
	c := begunOn(t, other)
	l := layout.Layout{PartSize: layout.MinPart}
	o, err := other.store.file(storage.Record{ID: c.id})
	if err != nil {
		t.Fatal(err)
	}
	if l.UploadID, err = other.store.client.Begin(t.Context(), o); err != nil { // no layout refers to it
		t.Fatal(err)
	}
	c.send(whole)
	c.finish()
	other.sweepLater(t)
	wantOnly(t, other.store, c.id)
}

func TestForeignObjectsAreLeftAlone(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	s := n.store
	foreign := api.JSONObject("report", []byte("of another application"))
	if err := s.client.Put(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.Begin(t.Context(), api.Object{Key: "backup"}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Create(t.Context(), storage.Record{ID: "report", Size: 3}); !errors.Is(err, storage.ErrKeyTaken) {
		t.Errorf("create over an object: %v, want ErrKeyTaken", err)
	}
	if err := s.client.Put(t.Context(), api.JSONObject(s.liveKey("report", "size"), []byte("3"))); err != nil { // left over
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "report"); err != nil {
		t.Errorf("delete: %v", err)
	}
	n.sweepLater(t)
	keys, multiparts := leftIn(t, s)
	if len(keys) != 1 || keys[0] != "report" || len(multiparts) != 1 {
		t.Errorf("objects %v, multipart uploads %v; want only the foreign ones", keys, multiparts)
	}
}
