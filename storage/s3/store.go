// Package s3 stores uploads in an S3 bucket, which any number of nodes may share.
//
// An upload is a multipart upload whose parts are numbered by the offset of their
// bytes, never by the order of arrival: so a part that is sent twice, late or by a
// node that has lost its lock stores the same bytes in the same place. Bytes that
// end in the middle of a part are kept as a fragment, an object named by its range,
// until the part is complete. Every object is written once, and the set of objects
// is the state of an upload: there are no read-modify-write cycles.
//
// No reader needs a listing to be a snapshot: an object is removed only when those that
// supersede it have been stored for at least twice as long as a usable listing may take.
// When a finished file or a deletion supersedes it, it is removed at once, because every
// reader checks for these after it has listed the rest.
//
// A file that is no larger than a part is uploaded with a single put.
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/api"
	"github.com/holdfast-upload/holdfast/storage/s3/internal/layout"
)

// Options configure a Store.
type Options struct {
	Bucket string
	// Endpoint is the URL of an S3-compatible server; "" means Amazon S3.
	Endpoint string
	Region   string
	// PathStyle puts the bucket name into the path of URLs, not the host.
	PathStyle bool
	// Prefix is prepended to every key.
	Prefix string
	// CreateBucket creates the bucket if it does not exist.
	CreateBucket bool
	// Checksums says whether S3 has to verify CRC32C checksums.
	Checksums Checksums
	// StorageClass is that of finished files: see x-amz-storage-class. Encryption and
	// EncryptionKey apply to all objects: see x-amz-server-side-encryption and
	// x-amz-server-side-encryption-aws-kms-key-id. "" means the bucket's default.
	StorageClass, Encryption, EncryptionKey string
	// Timeout is how long S3 may take to respond, its retries included, before a request
	// fails with ErrUnavailable; 20 s if 0. Requests that carry the bytes of uploads, copy
	// them or complete a file may take longer.
	Timeout time.Duration
	// Arbiter is shared by the processes that share the bucket, as their Locker and Cache
	// are; nil is for a single process. It decides what S3 does not if that does not honor
	// If-None-Match.
	Arbiter Arbiter
	// Log is slog.Default() if nil.
	Log *slog.Logger
	// DeferFile postpones creating the final object until Finish, even for single-part
	// uploads.
	DeferFile bool
	// PresignTTL is how long the URLs that Link returns are valid; 0 disables them.
	PresignTTL time.Duration
	// PublicEndpoint is the URL by which clients reach Endpoint, for Link; "" means Endpoint.
	PublicEndpoint string
	// Memory is how many bytes of all uploads together are buffered in memory; the rest
	// spills to temporary files.
	Memory int64
	// Middleware, if set, wraps the transport that sends requests. The context of each
	// request carries the name of its S3 operation.
	Middleware func(http.RoundTripper) http.RoundTripper

	assume         *api.Abilities // of the server, which is not probed then
	partSize       int64          // target size of parts
	copy           int64          // how many bytes one request copies, unless that makes too many parts
	longestPause   time.Duration  // the longest backoff between two attempts of a request
	nodeInterval   time.Duration  // time between two reports of this node
	lostGrace      time.Duration  // how long the data of an upload may be missing before the upload is gone
	reservationTTL time.Duration  // how long a reservation counts without an upload: longer than a creation or deletion takes
	removeAfter    time.Duration  // how long needless objects stay; a listing that takes longer than half of it is repeated
	now            func() time.Time
	retiredAfter   time.Duration // how long needless objects of a retired upload stay
	patience       time.Duration // how long S3 may take to send the next bytes of a response
}

func (opts *Options) setDefaults() {
	if opts.Timeout == 0 {
		opts.Timeout = 20 * time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	if opts.partSize == 0 {
		opts.partSize = layout.TargetPartSize
	}
	if opts.copy == 0 {
		opts.copy = goodCopy
	}
	if opts.reservationTTL == 0 {
		opts.reservationTTL = time.Minute
	}
	if opts.longestPause == 0 {
		opts.longestPause = 3 * time.Second
	}
	if opts.removeAfter == 0 {
		opts.removeAfter = removeAfter
	}
	if opts.patience == 0 {
		opts.patience = api.ResponseTimeout
	}
	if opts.retiredAfter == 0 {
		opts.retiredAfter = removeRetiredAfter
	}
	if opts.now == nil {
		opts.now = time.Now
	}
	if opts.nodeInterval == 0 {
		opts.nodeInterval = nodeInterval
	}
	if opts.lostGrace == 0 {
		opts.lostGrace = 15 * time.Minute
	}
}

// connection returns how to reach the bucket.
func (opts Options) connection() api.Options {
	return api.Options{
		Bucket: opts.Bucket, Endpoint: opts.Endpoint, Region: opts.Region, PathStyle: opts.PathStyle,
		CreateBucket: opts.CreateBucket, Encryption: opts.Encryption, EncryptionKey: opts.EncryptionKey,
		Middleware: opts.Middleware, LongestPause: opts.longestPause, Patience: opts.patience, Timeout: opts.Timeout, Now: opts.now,
	}
}

// Store is a storage.Store in a bucket. Create it with Open.
type Store struct {
	opts      Options
	client    *api.Client
	budget    *memoryPool
	tailCache *tailCache
	needless  *remover
	retired   *remover // objects of retired uploads
	absent    absent
	active    activities
	copies    copyHealth
	olderNode atomic.Pointer[report] // that this one must not create uploads beside; see Run

	deletions deletions

	creatingLayout singleflight.Group // by upload id
	mu             sync.Mutex
	layouts        map[string]cachedLayout
	files          map[string]fileFound
	writers        map[string][]*writer // running writes, by upload id
	missing        map[string]time.Time // since when S3 lists only the record of an upload, or not all parts of a multipart upload; by their ids
	reported       map[string]struct{}  // ids of missing for which the log has said so
}

var (
	_ storage.Store    = (*Store)(nil)
	_ storage.Cleaner  = (*Store)(nil)
	_ storage.Checker  = (*Store)(nil)
	_ storage.Concater = (*Store)(nil)
	_ storage.Linker   = (*Store)(nil)
	_ storage.Runner   = (*Store)(nil)

	_ storage.ExactDeleter = (*Store)(nil)

	_ storage.DeletionCompleter = (*Store)(nil)
)

// Open returns the store in a bucket. It tries first what the S3 server can do, and logs what
// that lacks; see Check. It fails if the bucket does not exist or can't be used.
func Open(ctx context.Context, opts Options) (*Store, error) {
	opts.setDefaults()
	client, err := connect(ctx, opts)
	if err != nil {
		return nil, err
	}
	pool := newMemoryPool(opts.Memory)
	s := &Store{
		opts: opts, budget: pool, tailCache: newTailCache(), layouts: map[string]cachedLayout{}, files: map[string]fileFound{}, writers: map[string][]*writer{}, missing: map[string]time.Time{}, reported: map[string]struct{}{},
		client: client,
	}
	pool.reclaim = s.tailCache.dropOldest
	s.needless = newRemover(s.client.Remove, opts.now, opts.removeAfter)
	s.retired = newRemover(s.client.Remove, opts.now, opts.retiredAfter)
	return s, nil
}

// Close removes the needless objects of retired uploads now, so that no other node has to
// find them.
func (s *Store) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return s.client.Remove(ctx, s.retired.takeAll()...)
}

// closeTimeout is how long Close may take.
const closeTimeout = 5 * time.Second

// Check implements storage.Checker.
func (s *Store) Check(ctx context.Context) error {
	if err := s.besideOlder("use", s.opts.Bucket); err != nil {
		return err
	}
	return storage.Unavailable("find the bucket", s.opts.Bucket, s.client.HeadBucket(ctx))
}

// Memory returns how many bytes of buffer memory are in use, how many may be, and how many
// have spilled to temporary files since the start.
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
	body, err := s.client.Open(ctx, s.fileKey(up.Record), offset, 0)
	if errors.Is(err, api.ErrMissing) {
		return nil, fmt.Errorf("open %s: %w: its file is missing", up.ID, storage.ErrGone)
	}
	return body, err
}
