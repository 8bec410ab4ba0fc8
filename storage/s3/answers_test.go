package s3

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

// altering is a transport that modifies or replaces responses.
type altering struct {
	mu     sync.Mutex
	answer func(op string, r *http.Request) *http.Response      // returns nil to send the request to S3
	change func(op string, r *http.Request, got *http.Response) // modifies S3's response
}

func (a *altering) set(answer func(string, *http.Request) *http.Response, change func(string, *http.Request, *http.Response)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer, a.change = answer, change
}

func (a *altering) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	answer, change := a.answer, a.change
	a.mu.Unlock()
	op := operation(r)
	if answer != nil {
		if got := answer(op, r); got != nil {
			_, _ = io.Copy(io.Discard, r.Body)
			_ = r.Body.Close()
			return got, nil
		}
	}
	got, err := plain.RoundTrip(r)
	if err == nil && change != nil {
		change(op, r, got)
	}
	return got, err
}

func alteringNode(t *testing.T, opts Options) (*node, *altering) {
	t.Helper()
	n, a := startNode(t, opts), &altering{}
	n.wire.next = a
	return n, a
}

// answers returns a function that answers all requests of one operation.
func answers(of string, status int, body string) func(string, *http.Request) *http.Response {
	return func(op string, r *http.Request) *http.Response {
		if op != of {
			return nil
		}
		got := refusal(r, status)
		got.Body = io.NopCloser(strings.NewReader(body))
		return got
	}
}

// The client and the operator must be able to recognize a full store.
func TestAFullS3ReturnsErrNoSpace(t *testing.T) {
	n, a := alteringNode(t, bucket(t))
	c := begunOn(t, n)
	for name, answer := range map[string]func(string, *http.Request) *http.Response{
		"quota": answers("put fragment", 403, "<Error><Code>QuotaExceeded</Code></Error>"),
		"minio": answers("put fragment", 507, "<Error><Code>XMinioStorageFull</Code></Error>"),
		"507":   answers("put fragment", 507, ""),
	} {
		a.set(answer, nil)
		if err := c.sendOnce(ranges.Of(0, 100)); !errors.Is(err, storage.ErrNoSpace) || !storage.Transient(err) {
			t.Errorf("%s: %v, want ErrNoSpace", name, err)
		}
	}
	a.set(nil, nil)
	c.send(whole)
	c.finish()
}

// A request that S3 fails once is retried before the client gets an error.
func TestARequestThatFailsOnceIsRetried(t *testing.T) {
	for _, op := range []string{"put record", "begin", "put layout", "part", "put fragment", "complete", "list", "head file", "delete"} {
		n, a := alteringNode(t, bucket(t))
		failed := 0
		a.set(func(got string, r *http.Request) *http.Response {
			if got != op || failed > 0 {
				return nil
			}
			failed++
			return refusal(r, http.StatusServiceUnavailable)
		}, nil)
		up, err := n.Create(t.Context(), storage.Record{ID: "chosen", Size: threeCells})
		if err != nil {
			t.Fatalf("%s: create: %v", op, err)
		}
		data := storagetest.Content(9, threeCells)
		for _, r := range []ranges.Range{ranges.Of(0, 1000), {Start: 1000, End: threeCells}} {
			if _, err := n.Write(t.Context(), up.ID, chunk(data, r)); err != nil {
				t.Errorf("%s: write: %v", op, err)
			}
		}
		if err := n.store.flush(t.Context()); err != nil {
			t.Errorf("%s: remove superseded objects: %v", op, err)
		}
		if failed != 1 {
			t.Errorf("%s: it failed %d times", op, failed)
		}
	}
}

// DeleteObjects has an error per object.
func TestADeletionFailsIfS3RefusesItForOneObject(t *testing.T) {
	n, a := alteringNode(t, bucket(t))
	c := begunOn(t, n)
	c.send(ranges.Of(0, 100))
	a.set(answers("delete", 200, "<DeleteResult><Error><Key>it</Key><Code>AccessDenied</Code></Error></DeleteResult>"), nil)
	if err := n.Delete(t.Context(), c.id); !storage.Transient(err) {
		t.Errorf("delete: %v, want a transient error", err)
	}
	a.set(answers("delete", 200, "<DeleteResult><Error><Key>it</Key><Code>NoSuchKey</Code></Error></DeleteResult>"), nil)
	if err := n.store.Delete(t.Context(), c.id); err != nil {
		t.Errorf("delete what is gone: %v", err)
	}
	a.set(nil, nil)
	if err := n.store.Delete(t.Context(), c.id); err != nil {
		t.Errorf("delete: %v", err)
	}
	wantOnly(t, n.store, n.store.liveKey(c.id, "gone"))
}

// A flipped bit in a response is detected when a file is read, and a truncated response
// when fragments are assembled to a part.
func TestCorruptResponsesOfS3AreDetected(t *testing.T) {
	n, a := alteringNode(t, bucket(t))
	c := &phone{t: t, node: n, data: storagetest.Content(2, 70_001)}
	c.create(storage.Record{Size: 70_001})
	c.send(ranges.Of(0, 70_001))
	a.set(nil, func(op string, _ *http.Request, got *http.Response) {
		if op == "get file" {
			got.Body = &flippedBody{ReadCloser: got.Body}
		}
	})
	up, err := n.Get(t.Context(), c.id)
	if err != nil {
		t.Fatal(err)
	}
	if err := readAll(n.store.Open(t.Context(), up, 0)); err == nil {
		t.Error("the store has read a file with a flipped bit")
	}
	if err := readAll(n.Open(t.Context(), up)); err == nil {
		t.Error("a file with a flipped bit was read")
	}
	opts := bucket(t)
	for name, cold := range map[string]bool{"by the node that has them": false, "by another": true} {
		n, a := alteringNode(t, opts)
		c := begunOn(t, n)
		c.send(ranges.Of(0, 1000))
		c.send(ranges.Of(2000, 1000))
		if cold {
			n, a = alteringNode(t, opts)
			c.node = n
		}
		a.set(nil, func(op string, _ *http.Request, got *http.Response) {
			if op == "get fragment" {
				text, _ := io.ReadAll(got.Body)
				got.Body = io.NopCloser(bytes.NewReader(text[:len(text)/2]))
				got.ContentLength = int64(len(text) / 2)
				got.Header.Del("Content-Length")
			}
		})
		_ = c.sendOnce(whole) // may succeed for slots that have no fragment
		a.set(nil, nil)
		c.check(startNode(t, opts))
		c.send(whole)
		c.finish()
		c.wantFile(startNode(t, opts))
		_ = name
	}
}

// readAll reads from to its end and closes it.
func readAll[R io.ReadCloser](from R, err error) error {
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, from)
	return errors.Join(err, from.Close())
}

// A file downloaded directly from the bucket has the type and name from the upload's
// metadata, as an attachment; and it has the storage class and encryption of the options.
func TestAFileHasItsContentTypeAndStorageClass(t *testing.T) {
	for _, size := range []int64{70_001, threeCells} {
		opts := bucket(t)
		opts.StorageClass, opts.Encryption, opts.EncryptionKey = "STANDARD", "aws:kms", "key-1"
		n, a := alteringNode(t, opts)
		var puts []http.Header
		a.set(func(op string, r *http.Request) *http.Response {
			if op == "put file" || op == "begin" {
				puts = append(puts, r.Header.Clone())
			}
			return nil
		}, nil)
		c := &phone{t: t, node: n, data: storagetest.Content(1, size)}
		rec := storage.Record{ID: "chosen", Size: size, Metadata: map[string]string{"filename": "a b.mp4", "filetype": "video/mp4"}}
		if _, err := n.Create(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		c.id = rec.ID
		_ = c.sendOnce(ranges.Of(0, size)) // the test server may support neither storage classes nor keys
		if len(puts) == 0 {
			t.Fatalf("%d bytes: no file was put", size)
		}
		for name, want := range map[string]string{
			"Content-Type": "video/mp4", "Content-Disposition": `attachment; filename="a b.mp4"`, "X-Amz-Storage-Class": "STANDARD",
			"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "key-1",
		} {
			if got := puts[0].Get(name); got != want {
				t.Errorf("%d bytes: %s: %q, want %q", size, name, got, want)
			}
		}
	}
}

// A new multipart upload may be about to get its layout.
func TestCleanKeepsNewMultipartUploads(t *testing.T) {
	n := startNode(t, bucket(t))
	c := begunOn(t, n)
	c.send(ranges.Of(0, 100))
	if _, err := n.store.client.Begin(t.Context(), api.Object{Key: n.store.fileKey(storage.Record{ID: c.id})}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		before time.Duration
		left   int
	}{{-time.Hour, 1}, {time.Hour, 0}} {
		if err := n.store.Clean(t.Context(), time.Now().Add(want.before)); err != nil {
			t.Errorf("clean: %v", err)
		}
		if _, multiparts := leftIn(t, n.store); len(multiparts) != want.left {
			t.Errorf("cleaned before %v: %d multipart uploads, want %d", want.before, len(multiparts), want.left)
		}
	}
	c.send(whole)
	c.finish()
}

// A concatenation leaves no multipart upload behind, whether it succeeds or not.
func TestAConcatenationLeavesNoMultipartUpload(t *testing.T) {
	for name, answer := range map[string]func(string, *http.Request) *http.Response{
		"concatenated":       nil,
		"a copy fails":       answers("copy", 501, "<Error><Code>NotImplemented</Code></Error>"),
		"completing fails":   answers("complete", 400, "<Error><Code>InvalidPart</Code></Error>"),
		"copying is denied":  answers("copy", 403, "<Error><Code>AccessDenied</Code></Error>"),
		"the part has moved": answers("copy", 404, "<Error><Code>NoSuchKey</Code></Error>"),
	} {
		n, a := alteringNode(t, bucket(t))
		parts := &phone{t: t, node: n, data: storagetest.Content(3, layout.MinPart)}
		parts.create(storage.Record{Size: layout.MinPart, Partial: true})
		parts.send(ranges.Of(0, layout.MinPart))
		up, err := n.Create(t.Context(), storage.Record{Size: 2 * layout.MinPart, Parts: []string{parts.id, parts.id}})
		if err != nil {
			t.Fatal(err)
		}
		a.set(answer, nil)
		_, _ = n.Concat(t.Context(), up.ID)
		a.set(nil, nil)
		now, err := n.store.Load(t.Context(), up.ID)
		if err != nil {
			t.Fatal(err)
		}
		_, multiparts := leftIn(t, n.store)
		if l, ok := n.store.layoutOf(now); ok && l.UploadID != "" && !now.Finished {
			multiparts = multiparts[1:] // the one that the fallback, copying through this process, uses
		}
		if len(multiparts) > 0 {
			t.Errorf("%s: multipart uploads left: %v, finished %v", name, multiparts, now.Finished)
		}
	}
}
