package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/holdfast-upload/holdfast/config"
	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/disk"
	"github.com/holdfast-upload/holdfast/storage/observed"
	"github.com/holdfast-upload/holdfast/storage/redis"
	"github.com/holdfast-upload/holdfast/storage/s3"
)

// backend is where uploads are kept, and how nodes that share them agree.
type backend struct {
	name   string // for people
	store  storage.Store
	locker storage.Locker
	index  storage.Index
	redis  *redis.Redis // nil if the node is alone
	close  func() error
}

func openBackend(cfg config.Config, log *slog.Logger, m *observed.Metrics) (backend, error) {
	if cfg.S3Bucket == "" {
		b, err := openDisk(cfg)
		return b.observed(m), err
	}
	b, err := openS3(cfg, m)
	if err == nil && cfg.Redis != "" {
		b, err = b.shared(cfg, log, m)
	}
	return b.observed(m), err
}

func openDisk(cfg config.Config) (backend, error) {
	store, err := disk.Open(cfg.Data, disk.Options{NoSync: !cfg.Sync})
	if err != nil {
		return backend{}, fmt.Errorf("open the store: %w", err)
	}
	return alone(cfg.Data, store, store.Close), nil
}

func openS3(cfg config.Config, m *observed.Metrics) (backend, error) {
	store, err := s3.Open(context.Background(), s3.Options{
		Bucket: cfg.S3Bucket, Endpoint: cfg.S3Endpoint, Region: cfg.S3Region, PathStyle: cfg.S3PathStyle,
		Prefix: cfg.S3Prefix, CreateBucket: cfg.S3CreateBucket, NoChecksums: !cfg.S3Checksums,
		StorageClass: cfg.S3StorageClass, Encryption: cfg.S3Encryption, EncryptionKey: cfg.S3EncryptionKey,
		LinkFor: cfg.S3LinkFor, PublicEndpoint: cfg.S3PublicEndpoint, Memory: int64(cfg.MemoryBudget), Wrap: m.S3(),
		Hold: cfg.Hooks() && slices.Contains(cfg.HookEvents, "pre-finish"),
	})
	if err != nil {
		return backend{}, fmt.Errorf("open the store: %w", err)
	}
	m.Memory(store.Memory)
	return alone("s3://"+cfg.S3Bucket+"/"+cfg.S3Prefix, store, store.Close), nil
}

// alone is the backend of a node that shares its store with no other.
func alone(name string, store storage.Store, closeStore func() error) backend {
	return backend{name: name, store: store, close: closeStore, locker: &storage.LocalLocker{}, index: &storage.LocalIndex{}}
}

// shared is b for a node that shares its store with others through Redis.
func (b backend) shared(cfg config.Config, log *slog.Logger, m *observed.Metrics) (backend, error) {
	r, err := redis.Connect(redis.Options{URL: cfg.Redis, Prefix: cfg.RedisPrefix, Log: log, Observe: m.Redis()})
	if err != nil {
		return backend{}, errors.Join(err, b.close())
	}
	locker, closeStore := redis.NewLocker(r), b.close
	b.redis, b.locker, b.index = r, locker, redis.NewIndex(r)
	b.close = func() error {
		locker.Close()
		return errors.Join(r.Close(), closeStore())
	}
	return b, nil
}

// observed is b with all that it does measured and traced.
func (b backend) observed(m *observed.Metrics) backend {
	if b.store == nil {
		return b // it could not be opened
	}
	if b.redis != nil {
		m.Degraded(func() bool { return b.degraded(context.Background()) })
	}
	waited := func(ctx context.Context, d time.Duration) { hooks.SeenIn(ctx).Waited(d) }
	b.store, b.locker, b.index = m.Store(b.store), m.Locker(b.locker, waited), m.Index(b.index)
	return b
}

// degraded tells whether the node has to do without Redis for now.
func (b backend) degraded(ctx context.Context) bool {
	return b.redis != nil && b.redis.Check(ctx) != nil
}
