package main

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/holdfast-upload/holdfast/config"
	"github.com/holdfast-upload/holdfast/hooks/limits/redislimits"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/disk"
	"github.com/holdfast-upload/holdfast/storage/redis"
	"github.com/holdfast-upload/holdfast/storage/s3"
)

// openStore opens the store, and Redis if it is configured, and adds metrics to them.
func (s *settings) openStore(cfg config.Config) error {
	s.options.Locker, s.options.Cache = &storage.MemoryLocker{}, &storage.MemoryCache{}
	open := s.openDisk
	if cfg.S3Bucket != "" {
		open = s.openS3
	}
	if cfg.Redis != "" {
		if err := s.openRedis(cfg); err != nil {
			return err
		}
	}
	if err := open(cfg); err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	waited := func(ctx context.Context, d time.Duration) { protocol.ExchangeOf(ctx).AddLockWait(d) }
	o := &s.options
	o.Store, o.Locker, o.Cache = s.metrics.Store(o.Store), s.metrics.Locker(o.Locker, waited), s.metrics.Cache(o.Cache)
	return nil
}

func (s *settings) openDisk(cfg config.Config) error {
	store, err := disk.Open(cfg.Data, disk.Options{NoSync: !cfg.Fsync, FileMode: fs.FileMode(cfg.FileMode)})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, store.Close)
	if err := store.CheckPlace(cfg.KeyTemplate.Directory(time.Now())); err != nil {
		return fmt.Errorf("place of finished files, from --data and --key-template: %w", err)
	}
	s.options.Store, s.location, s.storeName = store, store.Location, cfg.Data
	s.options.Spools = transport.NewSpools(transport.NewBlocks(int64(cfg.BufferMemory)), int64(cfg.BufferDisk))
	return nil
}

func (s *settings) openS3(cfg config.Config) error {
	opts := s3Options(cfg)
	opts.Log, opts.Middleware = s.log, s.metrics.S3()
	if s.arbiter != nil {
		opts.Arbiter = s.arbiter
	}
	store, err := s3.Open(context.Background(), opts)
	if err != nil {
		return err
	}
	s.watchNodes = func(ctx context.Context) { store.WatchNodes(ctx, cfg.Redis != "") }
	s.metrics.Memory(store.Memory)
	s.closers = append(s.closers, store.Close)
	s.options.Store, s.location, s.storeName = store, store.Location, "s3://"+cfg.S3Bucket+"/"+cfg.S3Prefix
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

func (s *settings) openRedis(cfg config.Config) error {
	r, err := redis.Connect(redis.Options{URL: cfg.Redis, Prefix: cfg.RedisPrefix, Log: s.log, Observe: s.metrics.Redis()})
	if err != nil {
		return err
	}
	locker := redis.NewLocker(r)
	s.arbiter = redis.NewArbiter(r)
	s.options.Locker, s.options.Cache, s.options.Degraded = locker, redis.NewCache(r), r.Check
	s.options.Limits.Shared = redislimits.New(r.Client(), cfg.RedisPrefix)
	s.metrics.RedisUp(func() bool { return r.Check(context.Background()) == nil })
	s.closers = append(s.closers, r.Close, func() error { locker.Close(); return nil })
	return nil
}
