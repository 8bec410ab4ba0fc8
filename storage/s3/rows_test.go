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
	"github.com/holdfast-upload/holdfast/storage/storagetest"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// The conditions under which upload servers have lost data, as far as they can
// arise between the core and S3.

func bucket(t *testing.T) Options {
	t.Helper()
	useKeys(t)
	return options(servers.S3(t).URL("http"))
}

// begun is an upload of three cells, of which nothing has been sent.
func begunOn(t *testing.T, n *node) *phone {
	t.Helper()
	c := &phone{t: t, node: n, data: storagetest.Content(9, threeCells)}
	c.create(storage.Record{Size: threeCells})
	return c
}

var whole = ranges.Of(0, threeCells)

// sendOnce sends a chunk and does not try again.
func (c *phone) sendOnce(r ranges.Range) error {
	up, err := c.node.Write(c.t.Context(), c.id, r.Start, body(c.data, r))
	if err == nil {
		c.ack(r)
	}
	for _, r := range up.Received.Ranges() {
		c.ack(r)
	}
	return err
}

// goOn continues on another node from the offset that it names.
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

func TestF01OnePartFailsWhileLaterOnesSucceed(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	c := begunOn(t, n)
	n.wire.inject(fault{"part", 1, fails})
	if err := c.sendOnce(whole); !storage.Transient(err) {
		t.Errorf("write: %v, want one that may pass", err)
	}
	c.goOn(n)
}

func TestF02KilledWithALaterPartStoredAndAnEarlierOneNot(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	c := begunOn(t, n)
	c.send(ranges.Range{Start: 2 * minPart, End: threeCells})
	c.send(ranges.Of(minPart, minPart))
	n.wire.inject(fault{"part", 1, fails})
	_ = c.sendOnce(ranges.Of(0, minPart))
	c.goOn(startNode(t, opts))
}

func TestF03CrashWhileAFragmentIsMerged(t *testing.T) {
	opts := bucket(t)
	for _, f := range []fault{{"put layout", 1, fails}, {"part", 1, fails}, {"part", 1, doneButFail}, {"delete", 1, fails}, {"put fragment", 2, doneButFail}} {
		opts.Prefix = strings.ReplaceAll(f.op+string(f.what), " ", "-") + "/"
		n := startNode(t, opts)
		c := begunOn(t, n)
		c.send(ranges.Of(0, minPart-1000))
		n.wire.inject(f)
		_ = c.sendOnce(ranges.Of(minPart-1000, 5000))
		c.goOn(startNode(t, opts))
	}
}

func TestF04AVanishedMultipartUploadIsNotComplete(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	c := begunOn(t, n)
	c.send(ranges.Of(0, 2*minPart))
	l, err := n.store.loadLayout(t.Context(), storage.Record{ID: c.id})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.store.client.abort(t.Context(), n.store.fileKey(storage.Record{ID: c.id}), l.UploadID); err != nil {
		t.Fatal(err)
	}
	if err := c.sendOnce(ranges.Range{Start: 2 * minPart, End: threeCells}); err == nil {
		t.Error("an upload whose parts are gone was taken for complete")
	}
	// It may be becoming a file this very moment: nobody may call it gone, nor remove it.
	patient := startNode(t, opts)
	_ = patient.Sweep(t.Context()) // it fails: the upload can't be loaded
	if _, err := patient.Get(t.Context(), c.id); !storage.Transient(err) {
		t.Errorf("get at first: %v, want one that may pass", err)
	}
	opts.lostGrace = time.Millisecond
	hasty := startNode(t, opts)
	_, _ = hasty.Get(t.Context(), c.id)
	time.Sleep(5 * time.Millisecond)
	if _, err := hasty.Get(t.Context(), c.id); !errors.Is(err, storage.ErrGone) {
		t.Errorf("get when it stays that way: %v, want ErrGone", err)
	}
	hasty.sweepLater(t)
	hasty.sweepLater(t)
	wantOnly(t, hasty.store)
}

// hollow is an S3 that shows a multipart upload without its parts, if it is on: as some
// do when a part has come while the file was made.
type hollow struct {
	on    atomic.Bool
	parts string // what is said of the parts
}

func (h *hollow) RoundTrip(r *http.Request) (*http.Response, error) {
	op := operation(r)
	if !h.on.Load() || op != "list parts" && op != "complete" {
		return plain.RoundTrip(r)
	}
	answer := refusal(r, http.StatusOK)
	answer.Body = io.NopCloser(strings.NewReader("<ListPartsResult>" + h.parts + "</ListPartsResult>"))
	if op == "complete" {
		answer.StatusCode = http.StatusBadRequest
		answer.Body = io.NopCloser(strings.NewReader("<Error><Code>InvalidPart</Code><Message>made up</Message></Error>"))
	}
	return answer, nil
}

// Who knows of the parts does not believe that they have vanished; who does not, finds
// that it is not the multipart upload that was begun.
func TestF04PartsThatVanishForAMomentAreNotSentAgain(t *testing.T) {
	const begunAnew = "<ChecksumAlgorithm>null</ChecksumAlgorithm>"
	for name, tt := range map[string]struct {
		parts     string
		other     bool // it is asked for at another node
		lostAfter time.Duration
		offset    int64 // -1: nobody says
		gone      bool
	}{
		"for a moment, known":     {offset: -1},
		"for good, known":         {lostAfter: time.Millisecond, offset: 0},
		"for a moment, not known": {parts: begunAnew, other: true, offset: -1},
		"for good, not known":     {parts: begunAnew, other: true, lostAfter: time.Millisecond, offset: -1, gone: true},
	} {
		t.Run(name, func(t *testing.T) {
			opts := bucket(t)
			opts.lostGrace = tt.lostAfter
			n, s3 := startNode(t, opts), &hollow{parts: tt.parts}
			n.wire.next = s3
			c := begunOn(t, n)
			c.send(ranges.Of(0, 2*minPart))
			s3.on.Store(true)
			if err := c.sendOnce(ranges.Range{Start: 2 * minPart, End: threeCells}); err == nil {
				t.Error("an upload whose parts are not there was taken for complete")
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

func TestF05AFinishThatFailedIsDrivenBySomebodyElse(t *testing.T) {
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
		if n.told[c.id]+other.told[c.id] == 0 {
			t.Errorf("%s: the app was not told", what)
		}
	}
}

func TestF07TheShortLastPieceOfAnUnknownLengthIsKept(t *testing.T) {
	opts := bucket(t)
	for _, size := range []int64{1, minPart - 1, minPart, minPart + 1, 2*minPart + 77} {
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

// A client that is interrupted thousands of times leaves few objects all the same: those
// that are needed, and those that were merged not long ago.
func TestF09FragmentsStayFew(t *testing.T) {
	opts := bucket(t)
	for name, memory := range map[string]int64{"with memory": 64 * mib, "without": 0} {
		opts.Memory, opts.Prefix = memory, name[:4]+"/"
		n := startNode(t, opts)
		c := &phone{t: t, node: n, data: storagetest.Content(3, minPart+60_000)}
		c.create(storage.Record{Size: int64(len(c.data))})
		chunks := storagetest.Chunks(int64(len(c.data)), 2_503)
		for i, r := range chunks {
			broken := sized{io.MultiReader(body(c.data, r), iotest.ErrReader(io.ErrUnexpectedEOF)), int64(len(c.data)) - r.Start}
			up, err := n.Write(t.Context(), c.id, r.Start, broken)
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
	if before := len(s.needless.keys); before > 200+200/maxFragments+maxFragments+1 {
		t.Errorf("%d objects are to be removed after 200 chunks", before)
	}
	if err := s.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen, err := s.list(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if len(seen.fragments) > maxFragments+1 {
		t.Errorf("%d fragments", len(seen.fragments))
	}
}

func TestF13AnEmptyFileIsAnObjectAndOneEvent(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	c := &phone{t: t, node: n}
	c.create(storage.Record{Size: 0})
	c.finish()
	if n.told[c.id] != 1 {
		t.Errorf("told %d times", n.told[c.id])
	}
	wantOnly(t, n.store, c.id)
}

func TestF13AnEmptyBodyOfUnknownLengthIsAnEmptyFile(t *testing.T) {
	n := startNode(t, bucket(t))
	c := &phone{t: t, node: n}
	c.create(storage.Record{Size: storage.Unknown})
	if _, err := n.Write(t.Context(), c.id, 0, sized{strings.NewReader(""), storage.Unknown}); err != nil {
		t.Fatal(err)
	}
	if n.wire.calls()["begin"] > 0 {
		t.Error("a multipart upload was begun for nothing")
	}
	c.declare()
	c.finish()
	wantOnly(t, n.store, c.id)
}

func TestF13AnEmptyFileOfWhichAMultipartUploadWasBegunIsFinished(t *testing.T) {
	opts := bucket(t)
	for name, hold := range map[string]bool{"put at once": false, "held": true} {
		opts.DeferFile, opts.Prefix = hold, name[:3]+"/"
		n := startNode(t, opts)
		c := &phone{t: t, node: n}
		c.create(storage.Record{Size: storage.Unknown})
		up, err := n.store.Load(t.Context(), c.id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.store.createLayout(t.Context(), up, choose(minPart, storage.Unknown, storage.Unknown)); err != nil {
			t.Fatal(err)
		}
		c.declare()
		c.finish()
		if _, multiparts := leftIn(t, n.store); len(multiparts) > 0 {
			t.Errorf("%s: the multipart upload is left", name)
		}
	}
}

// tus lets a client say 64 KiB of a file, S3 takes 2 KB: what it says may keep no file
// from being finished, and the record has all of it.
func TestAFileMayHaveALongNameAndType(t *testing.T) {
	n := startNode(t, bucket(t))
	for what, meta := range map[string]map[string]string{
		"a name":                      {"filename": strings.Repeat("a", 60_000) + ".mp4"},
		"a name in other characters":  {"filename": strings.Repeat("😀", 15_000) + ".mp4"},
		"a type":                      {"filetype": "text/plain; a=" + strings.Repeat("a", 60_000)},
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

func TestF16NothingIsLeftOfAnAbandonedUpload(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	for _, r := range []ranges.Range{{}, ranges.Of(0, 1000), ranges.Of(3, minPart+1000), ranges.Of(minPart, minPart)} {
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

// A shutdown ends the bodies in the middle: what came of them is there for the
// process that comes next.
// Other nodes see of a chunk that comes slowly what was stored of it, and when.
func TestF16WhatASlowClientHasSentIsStoredBeforeTheUploadCanExpire(t *testing.T) {
	opts := bucket(t)
	n, other := startNode(t, opts), startNode(t, opts)
	c := begunOn(t, n)
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := n.Write(t.Context(), c.id, 0, sized{r, threeCells})
		done <- err
	}()
	sent := int64(0)
	send := func(until int64) {
		_, _ = w.Write(c.data[sent:until])
		sent = until
	}
	for _, until := range []int64{1000, minPart - 1000, minPart + 1000} {
		send(until)
		n.mu.Lock()
		n.late += 31 * time.Minute // of the hour after which it expires
		n.mu.Unlock()
		send(until + 1) // it comes then, if none did in the meantime
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

func TestF17WhatCameBeforeAShutdownIsStored(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	c := begunOn(t, n)
	chunks := storagetest.Chunks(threeCells, 2_000_003)
	parallel(len(chunks), len(chunks), func(i int) {
		came := ranges.Range{Start: chunks[i].Start, End: chunks[i].End - 1000}
		broken := sized{io.MultiReader(body(c.data, came), iotest.ErrReader(io.ErrUnexpectedEOF)), chunks[i].Len()}
		if up, err := n.Write(t.Context(), c.id, came.Start, broken); !errors.Is(err, storage.ErrBodyAborted) || !up.Has(came) {
			t.Errorf("write %v: %v", came, err)
		}
		c.ack(came)
	})
	c.goOn(startNode(t, opts))
}

func TestF18WhatACrashLeftHalfMadeIsRemoved(t *testing.T) {
	opts := bucket(t)
	for _, f := range []fault{{"begin", 1, doneButFail}, {"put layout", 1, fails}, {"put layout", 1, doneButFail}} {
		n := startNode(t, opts)
		c := begunOn(t, n)
		n.wire.inject(f)
		if err := c.sendOnce(whole); err == nil {
			t.Errorf("%s %s: the write did not notice", f.op, f.what)
		}
	}
	other := startNode(t, opts)
	c := begunOn(t, other)
	l := layout{PartSize: minPart}
	o, err := other.store.file(storage.Record{ID: c.id})
	if err != nil {
		t.Fatal(err)
	}
	if l.UploadID, err = other.store.client.begin(t.Context(), o); err != nil { // linked by nothing
		t.Fatal(err)
	}
	c.send(whole)
	c.finish()
	other.sweepLater(t)
	wantOnly(t, other.store, c.id)
}

// What is not holdfast's in a bucket stays as it is.
func TestForeignObjectsAreLeftAlone(t *testing.T) {
	opts := bucket(t)
	n := startNode(t, opts)
	s := n.store
	foreign := jsonObject("report", []byte("of somebody else"))
	if err := s.client.put(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.begin(t.Context(), object{key: "backup"}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Create(t.Context(), storage.Record{ID: "report", Size: 3}); !errors.Is(err, storage.ErrKeyTaken) {
		t.Errorf("create over an object: %v, want ErrKeyTaken", err)
	}
	if err := s.client.put(t.Context(), jsonObject(s.liveKey("report", "size"), []byte("3"))); err != nil { // left over
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "report"); err != nil {
		t.Errorf("delete: %v", err)
	}
	n.sweepLater(t)
	keys, multiparts := leftIn(t, s)
	if len(keys) != 1 || keys[0] != "report" || len(multiparts) != 1 {
		t.Errorf("objects %v, multipart uploads %v; want those of others", keys, multiparts)
	}
}
