package transport

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// verification holds the digests that a body must match before any of it is used.
type verification struct {
	digests       []digest    // of the header
	trailer       http.Header // filled at the end of the body
	trailerFields []string    // digest fields announced for the trailer
	whole         int64       // length of the body if it is a whole file; see wholeFile

	limit   int64 // maximum length of the body, in bytes
	tooLong error // returned if it is longer
	spool   *Spool
	src     io.Reader // the spooled bytes, once verified
	done    bool
	err     error           // outcome of the verification
	found   *storage.Digest // of a whole file
}

// newVerification returns nil if the client gave no digest for the body of r. It returns
// an error if a header is malformed.
func newVerification(r *http.Request, spools *Spools) (*verification, error) {
	given, err := readDigests(r.Header)
	v := &verification{trailer: r.Trailer, whole: wholeFile(r), limit: math.MaxInt64, spool: spools.New()}
	for _, d := range given {
		if d.field != reprDigest || v.whole != partOfFile {
			v.digests = append(v.digests, d)
		}
	}
	for field := range digestFields {
		if _, announced := r.Trailer[field]; !announced {
			continue
		}
		v.trailerFields = append(v.trailerFields, field)
		if len(r.Header.Values(field)) > 0 && slices.Contains(single, field) {
			err = malformed(field, "must occur only once")
		}
	}
	if len(v.digests)+len(v.trailerFields) == 0 {
		return nil, err
	}
	return v, err
}

// Special values of wholeFile.
const (
	anyLength  = -1 // a whole file of any length
	partOfFile = -2 // not a whole file
)

// wholeFile returns the length that the body of a request must have to be a whole file.
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

// isWhole reports whether the spooled body is a whole file.
func (v *verification) isWhole() bool { return v.whole == anyLength || v.whole == v.spool.Size() }

// readVerified verifies the body and reads from the spool.
func (b *Body) readVerified(p []byte) (int, error) {
	if err := b.verify(); err != nil {
		return 0, err
	}
	return b.toVerify.src.Read(p)
}

// verify reads the whole body into the spool, and returns nil if it matches all digests.
func (b *Body) verify() error {
	v := b.toVerify
	if v.done {
		return v.err
	}
	v.done = true
	_ = b.ctl.SetWriteDeadline(time.Time{}) // clear any deadline until the response
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

// bodyReader reads a body without verifying it.
type bodyReader struct{ *Body }

func (r bodyReader) Read(p []byte) (int, error) { return r.read(p) }

// atEnd returns nil if the body ends at the limit.
func (b *Body) atEnd() error {
	n, err := io.ReadFull(bodyReader{b}, make([]byte, 1))
	switch {
	case n > 0:
		return fmt.Errorf("%w: the body has more than %d bytes", b.toVerify.tooLong, b.toVerify.limit)
	case err == io.EOF:
		return nil
	}
	return err
}

// check compares all digests with the spooled bytes.
func (v *verification) check() error {
	trailing, err := v.readTrailer()
	if err != nil {
		return err
	}
	sums := map[string]hash.Hash{}
	var writers []io.Writer
	addHash := func(algorithm string) {
		if sums[algorithm] == nil {
			sums[algorithm] = hashes[algorithm]()
			writers = append(writers, sums[algorithm])
		}
	}
	digests, whole := append(v.digests, trailing...), v.isWhole()
	if !whole {
		digests = slices.DeleteFunc(digests, func(d digest) bool { return d.field == reprDigest })
	}
	for _, d := range digests {
		addHash(d.algorithm)
	}
	if whole {
		addHash("crc32c")
	}
	if err := v.spool.Hash(io.MultiWriter(writers...)); err != nil {
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

// readTrailer parses the digests that followed the body.
func (v *verification) readTrailer() ([]digest, error) {
	for _, field := range v.trailerFields {
		if len(v.trailer.Values(field)) == 0 {
			return nil, malformed(field, "missing from the trailer")
		}
	}
	if len(v.trailerFields) == 0 {
		return nil, nil
	}
	return readDigests(v.trailer)
}

// VerifyDigests has the body verified against the digests in the header of r, and in the
// trailer that it announces, before any of the body is used. It returns
// storage.ErrBadRequest if they are malformed.
func (b *Body) VerifyDigests(r *http.Request) (err error) {
	b.toVerify, err = newVerification(r, b.spools)
	return err
}

// SuspendVerification makes the body appear to have no digests until resume is called:
// nothing may be read meanwhile.
func (b *Body) SuspendVerification() (resume func()) {
	suspended := b.toVerify
	b.toVerify = nil
	return func() { b.toVerify = suspended }
}

// LimitSpool limits a body that is spooled for verification: one with more than n bytes is
// rejected with the given error. The lowest of several limits applies.
func (b *Body) LimitSpool(n int64, tooLong error) {
	if v := b.toVerify; v != nil && n < v.limit {
		v.limit, v.tooLong = max(n, 0), tooLong
	}
}

// Refused returns why the server rejected a body that the client may have sent completely:
// a digest mismatch, no space to spool it, or that the app has stopped the upload. It is nil
// otherwise.
func (b *Body) Refused() error {
	var rejection *problem.Rejection
	if errors.As(b.Err(), &rejection) {
		return rejection
	}
	if b.toVerify == nil || b.toVerify.err == b.Err() {
		return nil
	}
	return b.toVerify.err
}

// HasDigest reports whether the body has digests to verify. A nil Body has none.
func (b *Body) HasDigest() bool { return b != nil && b.toVerify != nil }

// Admit verifies the digests of a body that is sent with the creation of an upload, before
// the upload is created. The digests of a whole file are added to the record.
//
// Errors: problem.ErrDigest, storage.ErrBadRequest, storage.ErrBodyAborted, and those of
// Spool.Fill.
func (b *Body) Admit(rec *storage.Record) error {
	if !b.HasDigest() {
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
