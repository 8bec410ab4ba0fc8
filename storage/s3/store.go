// Package s3 is the store in an S3 bucket, which any number of nodes may share.
//
// An upload is a multipart upload whose parts are numbered by the offset of their
// bytes, never by the order in which they came: so a part that comes twice, late
// or from a node that lost its lock puts the same bytes in the same place. What
// ends in the middle of a part is kept as a fragment, an object named by its
// range, until the part is whole. Every object is written once, and the state of
// an upload is which of them exist; there is nothing to read, change and write.
//
// No reader needs a listing to be a snapshot: an object is removed only when what makes it
// needless has been stored for at least twice as long as any listing that is believed took.
// Where a finished file or a deletion makes it needless, it goes at once, for there every
// reader looks for what tells of that after it has listed the rest.
//
// A file that is no larger than a part is put at once.
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/singleflight"

	"github.com/holdfast-upload/holdfast/storage"
)

// Options say where the bucket is and how to use it.
type Options struct {
	Bucket string
	// Endpoint is the URL of an S3 that is not Amazon's, "" for Amazon's.
	Endpoint string
	Region   string
	// PathStyle puts the bucket into the path of a URL, not its host.
	PathStyle bool
	// Prefix begins every key.
	Prefix string
	// CreateBucket makes the bucket if it is missing.
	CreateBucket bool
	// NoChecksums is for an S3 that knows no x-amz-checksum-crc32c.
	NoChecksums bool
	// StorageClass, Encryption and EncryptionKey are for the finished file: see
	// x-amz-storage-class, x-amz-server-side-encryption and
	// x-amz-server-side-encryption-aws-kms-key-id. "" is the bucket's default.
	StorageClass, Encryption, EncryptionKey string
	// Hold lets no file come to be before Finish is called, not even that of an upload
	// which could be put at once.
	DeferFile bool
	// LinkFor is for how long the links that Link makes are valid; 0 makes none.
	PresignTTL time.Duration
	// PublicEndpoint is Endpoint as clients reach it, for Link; "" is the same.
	PublicEndpoint string
	// Memory is how many bytes of all uploads together are held in memory; what is
	// beyond goes to temporary files.
	Memory int64
	// Wrap, if set, is given what sends requests, and returns what sends them instead. The
	// context of each request knows the name of its operation.
	Middleware func(http.RoundTripper) http.RoundTripper

	partSize     int64         // the size near which cells are best
	copy         int64         // how many bytes one request copies, if parts are few enough then
	longestPause time.Duration // between two tries of a request, at most
	lostGrace    time.Duration // how long an upload is looked for before it is gone
	claimLasts   time.Duration // how long a claim counts without an upload: longer than a creation or deletion takes
	removeAfter  time.Duration // how long needless objects stay; a listing that takes longer than half of it is made again
	now          func() time.Time
	retiredAfter time.Duration // how long what a retired upload needs no more stays
	patience     time.Duration // how long S3 may take to send the next bytes of an answer
}

func (opts *Options) setDefaults() {
	if opts.partSize == 0 {
		opts.partSize = targetPartSize
	}
	if opts.copy == 0 {
		opts.copy = goodCopy
	}
	if opts.claimLasts == 0 {
		opts.claimLasts = time.Minute
	}
	if opts.longestPause == 0 {
		opts.longestPause = 3 * time.Second
	}
	if opts.removeAfter == 0 {
		opts.removeAfter = removeAfter
	}
	if opts.patience == 0 {
		opts.patience = responseTimeout
	}
	if opts.retiredAfter == 0 {
		opts.retiredAfter = removeRetiredAfter
	}
	if opts.now == nil {
		opts.now = time.Now
	}
	if opts.lostGrace == 0 {
		opts.lostGrace = 15 * time.Minute
	}
}

// Store is a storage.Store in a bucket. Create it with Open.
type Store struct {
	opts      Options
	client    *client
	budget    *memoryPool
	tailCache *tailCache
	needless  *remover
	retired   *remover // what belongs to retired uploads
	absent    absent
	active    activities

	deletions deletions

	creatingLayout singleflight.Group // layouts, by upload id
	mu             sync.Mutex
	layouts        map[string]cachedLayout
	files          map[string]fileSeen
	writers        map[string][]*writer // the writes that run, by upload id
	missing        map[string]time.Time // since when S3 shows only the record of an upload, or not all parts of a multipart upload; by their ids
}

var (
	_ storage.Store    = (*Store)(nil)
	_ storage.Cleaner  = (*Store)(nil)
	_ storage.Checker  = (*Store)(nil)
	_ storage.Concater = (*Store)(nil)
	_ storage.Linker   = (*Store)(nil)

	_ storage.ExactDeleter = (*Store)(nil)

	_ storage.DeletionCompleter = (*Store)(nil)
)

// Open returns the store in a bucket, after it has seen that the bucket is there.
func Open(ctx context.Context, opts Options) (*Store, error) {
	opts.setDefaults()
	sdk, err := connect(ctx, opts)
	if err != nil {
		return nil, err
	}
	b := newMemoryPool(opts.Memory)
	s := &Store{
		opts: opts, budget: b, tailCache: newTailCache(), layouts: map[string]cachedLayout{}, files: map[string]fileSeen{}, writers: map[string][]*writer{}, missing: map[string]time.Time{},
		client: &client{s3: sdk, bucket: &opts.Bucket, checksums: !opts.NoChecksums, now: opts.now,
			class: types.StorageClass(opts.StorageClass), sse: types.ServerSideEncryption(opts.Encryption), sseKey: notEmpty(opts.EncryptionKey)},
	}
	b.reclaim = s.tailCache.dropOldest
	s.needless = newRemover(s.client.remove, opts.now, opts.removeAfter)
	s.retired = newRemover(s.client.remove, opts.now, opts.retiredAfter)
	return s, s.client.bucketIsThere(ctx, opts)
}

// Close removes what belongs to retired uploads at once: or else others have to find it.
func (s *Store) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return s.client.remove(ctx, s.retired.takeAll()...)
}

// closeTimeout is how long that may take.
const closeTimeout = 5 * time.Second

// Check implements storage.Checker.
func (s *Store) Check(ctx context.Context) error {
	return storage.Unavailable("find the bucket", s.opts.Bucket, s.client.headBucket(ctx))
}

// Memory tells how many bytes of the memory budget are in use, how many that can be,
// and how many did not fit and went to temporary files since the start.
func (s *Store) Memory() (used, limit, spilled int64) {
	return s.budget.used(), s.opts.Memory, s.budget.spilled.Load()
}

// Open implements storage.Store.
func (s *Store) Open(ctx context.Context, up storage.Upload, offset int64) (io.ReadCloser, error) {
	if up.FileMissing {
		return nil, fmt.Errorf("open %s: %w: its file is missing", up.ID, storage.ErrGone)
	}
	if up.Size != storage.Unknown && offset >= up.Size {
		return http.NoBody, nil
	}
	body, err := s.client.open(ctx, s.fileKey(up.Record), offset, 0)
	if errors.Is(err, errMissing) {
		return nil, fmt.Errorf("open %s: %w: its file is missing", up.ID, storage.ErrGone)
	}
	return body, err
}
