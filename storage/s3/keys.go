package s3

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

// The objects of an unfinished upload have one prefix, so that one listing finds them:
//
//	PREFIX.holdfast/live/ID/record   the storage.Record, in JSON
//	PREFIX.holdfast/live/ID/layout   the multipart upload, its part size, and the record again
//	PREFIX.holdfast/live/ID/size     the size, if it was set after creation
//	PREFIX.holdfast/live/ID/f/A-B    a fragment: bytes A to B, half-open, in hexadecimal
//	PREFIX.holdfast/live/ID/deadletter   marks a finished upload whose event is dead-lettered
//	PREFIX.holdfast/live/ID/gone     the tombstone of a deleted upload, with its file's key
//
// An id that a client has chosen may be reused after its upload has ended. So that an object
// of a late writer cannot become part of the next upload, the names of its layout and of
// its fragments end with a creation mark: layout-CREATION, f/A-B-CREATION.
//
// Each object is written once. Those of a finished upload are removed: its record is in
// the metadata of the file, whose key is PREFIX followed by the upload's Key or else its
// id, and in
//
//	PREFIX.holdfast/done/ID
//
// which is used when the file has been moved; see done. PREFIX.holdfast/nodes/ has the reports
// of processes (see Store.Run), and PREFIX.holdfast/probe/ what tries the server at start.
// Custom keys are reserved; see claimKey.
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
	return s.liveKey(rec.ID, layout.ObjectName+layout.CreationMark(rec))
}

// fragmentKey returns the key of a fragment's object.
func (s *Store) fragmentKey(id string, p storage.Extent) string {
	_, mark := layout.SplitMark(p.Name, 2)
	return s.liveKey(id, layout.FragmentObject(p.Range, mark))
}

const (
	// recordName is the name of the metadata entry that holds the record.
	recordName = "holdfast"
	// maxInMetadata is the maximum length of the record in metadata: S3 allows 2 KB in all.
	maxInMetadata = 1800
	// externalRecord begins the metadata entry of a record that is too long for it. The
	// time of creation and the id follow; the record itself is in the done object.
	externalRecord = "done@"
)

// file describes the finished file of an upload, without its content.
func (s *Store) file(rec storage.Record) (o api.Object, err error) {
	text, err := json.Marshal(rec) // the size is the file's own
	if err != nil {
		return api.Object{}, err
	}
	kept := base64.RawURLEncoding.EncodeToString(text)
	if len(kept) > maxInMetadata {
		kept = externalRecord + layout.CreatedAt(rec) + " " + rec.ID
	}
	return api.Object{
		Key: s.fileKey(rec), Metadata: map[string]string{recordName: kept},
		ContentType: rec.ContentType(), Disposition: rec.Disposition(), Class: s.opts.StorageClass,
	}, nil
}

// recordOf decodes the record that file has put into the metadata.
func recordOf(kept string) (rec storage.Record, err error) {
	text, err := base64.RawURLEncoding.DecodeString(kept)
	if err == nil {
		err = json.NewDecoder(bytes.NewReader(text)).Decode(&rec)
	}
	return rec, err
}

// identity returns the id and time of creation of the upload that a file belongs to, by the
// metadata entry recordName. Both are "" if it is not a file of this store.
func identity(kept string) (id, created string) {
	if at, long := strings.CutPrefix(kept, externalRecord); long {
		created, id, _ = strings.Cut(at, " ")
		return id, created
	}
	rec, err := recordOf(kept)
	if err != nil {
		return "", ""
	}
	return rec.ID, layout.CreatedAt(rec)
}
