package s3

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/url"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// The objects of an unfinished upload lie under one prefix, so that one listing
// finds them all:
//
//	PREFIX.holdfast/live/ID/record   what storage.Record says, in JSON
//	PREFIX.holdfast/live/ID/layout   the multipart upload and its cells, and the record again
//	PREFIX.holdfast/live/ID/size     the size, if it was declared late
//	PREFIX.holdfast/live/ID/f/A-B    bytes A to B, half-open, in hexadecimal
//	PREFIX.holdfast/live/ID/parked   the mark of a finished upload that is not told of any more
//	PREFIX.holdfast/live/ID/gone     the mark of a deleted upload, with the key of its file
//
// An id that a client has chosen may be used again, once its upload is over. So that nothing
// which a late writer leaves becomes part of the next upload, the names of its layout and of
// its fragments end with a mark of its creation: layout-CREATION, f/A-B-CREATION.
//
// Each is written once. Those of a finished upload are removed: what its record
// said is in the metadata of the file, PREFIX followed by the upload's Key or else by
// its id, and at
//
//	PREFIX.holdfast/done/ID
//
// which tells of the upload when its file is moved; see done.
// Keys that are chosen are claimed; see claimKey.
func (s *Store) liveKey(id, name string) string {
	return s.opts.Prefix + ".holdfast/live/" + id + "/" + name
}

func (s *Store) doneKey(id string) string { return s.opts.Prefix + ".holdfast/done/" + id }

func (s *Store) fileKey(rec storage.Record) string {
	if rec.Key != "" {
		return s.opts.Prefix + rec.Key
	}
	return s.opts.Prefix + rec.ID
}

func (s *Store) layoutKey(rec storage.Record) string {
	return s.liveKey(rec.ID, layoutName+creationMark(rec))
}

// creationMark tells the creations of an id apart, if there can be several.
func creationMark(rec storage.Record) string {
	if !rec.ClientChosenID {
		return ""
	}
	sum := sha256.Sum256([]byte(createdAt(rec)))
	return "-" + hex.EncodeToString(sum[:6])
}

// fragmentKey is the key of a fragment, as fragmentPiece names it.
func (s *Store) fragmentKey(id string, p storage.Extent) string {
	_, mark := splitMark(p.Name, 2)
	return s.liveKey(id, fmt.Sprintf("f/%016x-%016x%s", p.Start, p.End, mark))
}

// splitMark cuts the mark of a creation off a name of so many words.
func splitMark(name string, words int) (rest, mark string) {
	if all := strings.Split(name, "-"); len(all) == words+1 {
		mark = "-" + all[words]
	}
	return strings.TrimSuffix(name, mark), mark
}

// parseFragment reads the last element of a fragment's key.
func parseFragment(name string) (r ranges.Range, ok bool) {
	n, err := fmt.Sscanf(name, "f/%x-%x", &r.Start, &r.End)
	return r, n == 2 && err == nil && r.Valid()
}

func copySource(bucket, key string) string {
	return bucket + "/" + strings.ReplaceAll(url.PathEscape(key), "%2F", "/")
}

func crcOf(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

const (
	// recordName is the name under which an object's metadata has its record.
	recordName = "holdfast"
	// sumName is the name under which an object's metadata has the CRC32C of the whole,
	// where S3 itself would not say it.
	sumName = "holdfast-crc32c"
	// maxInMetadata is how long it may be there: S3 takes 2 KB of metadata in all.
	maxInMetadata = 1800
	// elsewhere stands in the metadata for a record that is too long for it; when
	// the upload was created and its id follow.
	externalRecord = "done@"
)

// file describes the finished file of an upload, whatever its bytes.
func (s *Store) file(rec storage.Record) (o object, err error) {
	text, err := json.Marshal(rec) // the size is the file's own
	if err != nil {
		return object{}, err
	}
	kept := base64.RawURLEncoding.EncodeToString(text)
	if len(kept) > maxInMetadata {
		kept = externalRecord + createdAt(rec) + " " + rec.ID
	}
	return object{
		key: s.fileKey(rec), metadata: map[string]string{recordName: kept},
		contentType: rec.ContentType(), disposition: rec.Disposition(),
	}, nil
}

// recordOf reads what file has put into the metadata.
func recordOf(kept string) (rec storage.Record, err error) {
	text, err := base64.RawURLEncoding.DecodeString(kept)
	if err == nil {
		err = json.NewDecoder(bytes.NewReader(text)).Decode(&rec)
	}
	return rec, err
}

// identity is what file has put into the metadata of whose file it is.
func identity(kept string) (id, created string) {
	if at, long := strings.CutPrefix(kept, externalRecord); long {
		created, id, _ = strings.Cut(at, " ")
		return id, created
	}
	rec, err := recordOf(kept)
	if err != nil {
		return "", ""
	}
	return rec.ID, createdAt(rec)
}

func createdAt(rec storage.Record) string { return rec.Created.UTC().Format(time.RFC3339Nano) }
