// Package stores opens the store that the settings name, for the server and for the commands
// that look at it.
package stores

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"github.com/holdfast-upload/holdfast"
	"github.com/holdfast-upload/holdfast/config"
	"github.com/holdfast-upload/holdfast/hooks/limits/redislimits"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/disk"
	"github.com/holdfast-upload/holdfast/storage/instrument"
	"github.com/holdfast-upload/holdfast/storage/redis"
	"github.com/holdfast-upload/holdfast/storage/s3"
)

// Stores are the store that the settings name, and Redis if they name one. Create them with
// Open.
type Stores struct {
	// Name is the store's, for the log.
	Name string
	// Location returns where the file of an upload is or will be, in tusd's format.
	Location func(storage.Upload) map[string]string

	log     *slog.Logger
	metrics *instrument.Metrics
	options *holdfast.Options
	arbiter *redis.Arbiter // nil without --redis
	closers []func() error // called in reverse order
}

// Open opens the store, and Redis if it is configured, and sets the options that depend on
// them: Store, StoreName, Locker, Cache, Board, Degraded, Spools and Limits.Shared. All are
// measured by metrics.
func Open(cfg config.Config, log *slog.Logger, metrics *instrument.Metrics, options *holdfast.Options) (*Stores, error) {
	s := &Stores{log: log, metrics: metrics, options: options}
	if err := s.open(cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	options.StoreName = s.Name
	waited := func(ctx context.Context, d time.Duration) { protocol.ExchangeOf(ctx).AddLockWait(d) }
	options.Store, options.Locker, options.Cache = metrics.Store(options.Store), metrics.Locker(options.Locker, waited), metrics.Cache(options.Cache)
	return s, nil
}

func (s *Stores) open(cfg config.Config) error {
	s.options.Locker, s.options.Cache = &storage.MemoryLocker{}, &storage.MemoryCache{}
	if cfg.Redis != "" {
		if err := s.openRedis(cfg); err != nil {
			return err
		}
	}
	open := s.openDisk
	if cfg.S3Bucket != "" {
		open = s.openS3
	}
	if err := open(cfg); err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	return nil
}

// Close closes what Open has opened. It may be called more than once, and with nil.
func (s *Stores) Close() error {
	if s == nil {
		return nil
	}
	var err error
	for _, closer := range slices.Backward(s.closers) {
		err = errors.Join(err, closer())
	}
	s.closers = nil
	return err
}

func (s *Stores) openDisk(cfg config.Config) error {
	store, err := disk.Open(cfg.Data, disk.Options{NoSync: !cfg.Fsync, FileMode: fs.FileMode(cfg.FileMode)})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, store.Close)
	if err := store.CheckPlace(cfg.KeyTemplate.Directory(time.Now())); err != nil {
		return fmt.Errorf("place of finished files, from --data and --key-template: %w", err)
	}
	s.options.Store, s.Location, s.Name = store, store.Location, cfg.Data
	s.options.Spools = transport.NewSpools(transport.NewBlocks(int64(cfg.BufferMemory)), int64(cfg.BufferDisk))
	return nil
}

func (s *Stores) openS3(cfg config.Config) error {
	opts := s3Options(cfg)
	opts.Log, opts.Middleware = s.log, s.metrics.S3()
	if s.arbiter != nil {
		opts.Arbiter = s.arbiter
	}
	store, err := s3.Open(context.Background(), opts)
	if err != nil {
		return err
	}
	s.metrics.Memory(store.Memory)
	s.closers = append(s.closers, store.Close)
	s.options.Store, s.Location, s.Name = store, store.Location, "s3://"+cfg.S3Bucket+"/"+cfg.S3Prefix
	s.options.Spools = transport.NewSpools(store.Blocks(), int64(cfg.BufferDisk))
	return nil
}

func s3Options(cfg config.Config) s3.Options {
	opts := s3.Options{
		Bucket: cfg.S3Bucket, Endpoint: cfg.S3Endpoint, Region: cfg.S3Region, PathStyle: cfg.S3PathStyle,
		Prefix: cfg.S3Prefix, CreateBucket: cfg.S3CreateBucket, Timeout: cfg.S3Timeout,
		StorageClass: cfg.S3StorageClass, Encryption: cfg.S3Encryption, EncryptionKey: cfg.S3EncryptionKey,
		PresignTTL: cfg.S3PresignTTL, PublicEndpoint: cfg.S3PublicEndpoint, Memory: int64(cfg.BufferMemory),
		DeferFile: cfg.Hooks() && slices.Contains(cfg.HookEvents, "pre-finish"),
	}
	if cfg.S3Checksums != "auto" {
		opts.Checksums = s3.Checksums(cfg.S3Checksums)
	}
	return opts
}

func (s *Stores) openRedis(cfg config.Config) error {
	r, err := redis.Connect(redis.Options{URL: cfg.Redis, Prefix: cfg.RedisPrefix, Log: s.log, Observe: s.metrics.Redis()})
	if err != nil {
		return err
	}
	locker := redis.NewLocker(r)
	s.arbiter = redis.NewArbiter(r)
	s.options.Locker, s.options.Cache, s.options.Degraded = locker, redis.NewCache(r), r.Check
	s.options.Board = redis.NewBoard(r)
	s.options.Limits.Shared = redislimits.New(r.Client(), cfg.RedisPrefix)
	s.metrics.RedisUp(func() bool { return r.Check(context.Background()) == nil })
	s.closers = append(s.closers, r.Close, func() error { locker.Close(); return nil })
	return nil
}
