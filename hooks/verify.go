package hooks

import (
	"context"
	"fmt"
	"hash"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// verification is what has to be found of a body before any of it counts.
type verification struct {
	digests []digest    // as the header gives them
	trailer http.Header // filled at the end of the body
	late    []string    // the fields of digests that the trailer is to have
	whole   int64       // how long the body is if it is a whole file; see wholeFile

	limit int64 // of the body, in bytes
	over  error // what it is to be longer
	spool Spool
	src   io.Reader // what was spooled, once it was verified
	done  bool
	err   error           // why the body must not count
	found *storage.Digest // of a whole file
}

// newVerification returns nil if the client gave no digest for the body of r. The error is
// one of a header that can't be understood.
func newVerification(r *http.Request) (*verification, error) {
	given, err := readDigests(r.Header)
	v := &verification{trailer: r.Trailer, whole: wholeFile(r), limit: math.MaxInt64}
	for _, d := range given {
		if d.field != reprDigest || v.whole != partOfFile {
			v.digests = append(v.digests, d)
		}
	}
	for field := range digestFields {
		if _, announced := r.Trailer[field]; !announced {
			continue
		}
		v.late = append(v.late, field)
		if len(r.Header.Values(field)) > 0 && slices.Contains(single, field) {
			err = malformed(field, "it must be given only once")
		}
	}
	if len(v.digests)+len(v.late) == 0 {
		return nil, err
	}
	return v, err
}

// What wholeFile may return beside a length.
const (
	anyLength  = -1 // it is a whole file, however long
	partOfFile = -2 // it is none
)

// wholeFile is how long the body of a request must be to bring a whole file.
func wholeFile(r *http.Request) int64 {
	span, total, ranged := strings.Cut(r.Header.Get("Content-Range"), "/")
	switch {
	case r.Method == http.MethodPost && !ranged:
		total = r.Header.Get("Upload-Length")
	case r.Method == http.MethodPut && !ranged:
		return anyLength
	case !ranged || !strings.HasPrefix(span, "bytes 0-"):
		return partOfFile
	}
	length, err := strconv.ParseInt(total, 10, 64)
	if err != nil || length < 0 || ranged && span != fmt.Sprintf("bytes 0-%d", length-1) || r.ContentLength >= 0 && r.ContentLength != length {
		return partOfFile
	}
	return length
}

// isWhole reports whether a body that was spooled is a whole file.
func (v *verification) isWhole() bool { return v.whole == anyLength || v.whole == v.spool.Size() }

// readVerified reads a body that was verified.
func (b *Body) readVerified(p []byte) (int, error) {
	if err := b.verify(); err != nil {
		return 0, err
	}
	return b.toVerify.src.Read(p)
}

// verify reads all of the body into a spool, and returns nil once that has each digest
// that was given for it.
func (b *Body) verify() error {
	v := b.toVerify
	if v.done {
		return v.err
	}
	v.done = true
	_ = b.ctl.SetWriteDeadline(time.Time{}) // until it is answered, whoever set one
	v.err = v.spool.Fill(io.LimitReader(bodyReader{b}, v.limit))
	if v.err == nil && v.spool.Size() == v.limit {
		v.err = b.atEnd()
	}
	if v.err == nil {
		v.err = v.check()
	}
	if v.err == nil {
		v.src, v.err = v.spool.Reader()
	}
	return v.err
}

// bodyReader reads a body as it comes.
type bodyReader struct{ *Body }

func (r bodyReader) Read(p []byte) (int, error) { return r.read(p) }

// atEnd returns nil if the body ends where it has to.
func (b *Body) atEnd() error {
	n, err := io.ReadFull(bodyReader{b}, make([]byte, 1))
	switch {
	case n > 0:
		return fmt.Errorf("%w: the body has more than %d bytes", b.toVerify.over, b.toVerify.limit)
	case err == io.EOF:
		return nil
	}
	return err
}

// check compares all digests with those of what was spooled.
func (v *verification) check() error {
	late, err := v.readTrailer()
	if err != nil {
		return err
	}
	sums := map[string]hash.Hash{}
	var all []io.Writer
	need := func(algorithm string) {
		if sums[algorithm] == nil {
			sums[algorithm] = hashes[algorithm]()
			all = append(all, sums[algorithm])
		}
	}
	digests, whole := append(v.digests, late...), v.isWhole()
	if !whole {
		digests = slices.DeleteFunc(digests, func(d digest) bool { return d.field == reprDigest })
	}
	for _, d := range digests {
		need(d.algorithm)
	}
	if whole {
		need("crc32c")
	}
	if err := v.spool.Hash(io.MultiWriter(all...)); err != nil {
		return err
	}
	for _, d := range digests {
		if err := d.check(sums[d.algorithm].Sum(nil)); err != nil {
			return err
		}
	}
	if sha := sums["sha-256"]; whole && sha != nil {
		crc, _ := sums["crc32c"].(hash.Hash32)
		v.found = &storage.Digest{CRC32C: crc32c.Sum(crc.Sum32()), SHA256: sha.Sum(nil)}
	}
	return nil
}

// readTrailer reads the digests that came after the body.
func (v *verification) readTrailer() ([]digest, error) {
	for _, field := range v.late {
		if len(v.trailer.Values(field)) == 0 {
			return nil, malformed(field, "the trailer was to have it, and has not")
		}
	}
	if len(v.late) == 0 {
		return nil, nil
	}
	return readDigests(v.trailer)
}

type bodyKey struct{}

// CheckHeader returns an error if the header of the request gives digests that can't be
// understood: storage.ErrBadRequest.
func (b *Body) CheckHeader() error { return b.malformed }

// LimitSpool bounds a body whose digests have to be verified, and which is kept aside until
// then: with more than n bytes it is refused, by the given error. Of several limits the
// lowest counts.
func (b *Body) LimitSpool(n int64, over error) {
	if v := b.toVerify; v != nil && n < v.limit {
		v.limit, v.over = max(n, 0), over
	}
}

// Refused is why the server has not taken a body that may have come whole: it has not the
// digests that were given for it, or there was no room to find out. It is nil otherwise.
func (b *Body) Refused() error {
	if b.toVerify == nil || b.toVerify.err == b.Err() {
		return nil
	}
	return b.toVerify.err
}

// AdmitVerified is for storage.Options.Admit: an upload whose client gives digests for the
// body that comes with its creation is created only once they were found right. Those of
// a whole file become a part of the record.
//
// Errors: ErrDigest, storage.ErrBadRequest, storage.ErrBody, and those of keeping the body.
func AdmitVerified(ctx context.Context, rec *storage.Record) error {
	b, ok := ctx.Value(bodyKey{}).(*Body)
	if !ok {
		return nil
	}
	if rec.Size != storage.Unknown {
		b.LimitSpool(rec.Size, storage.ErrOutOfRange)
	}
	if rec.MaxSize > 0 {
		b.LimitSpool(rec.MaxSize, storage.ErrTooLarge)
	}
	err := b.verify()
	if err != nil && err == b.Err() {
		return fmt.Errorf("%w: %w", storage.ErrBodyAborted, err)
	}
	rec.Digest = b.toVerify.found
	return err
}
