package storage

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// Summer is a Store that can compute the checksum of an upload before it is finished.
type Summer interface {
	// Sum returns the CRC32C of all bytes of a complete upload, nil if it is not known.
	Sum(ctx context.Context, up Upload) *crc32c.Sum
}

type expectedKey struct{}

// Expect returns a context in which Write, SetSize and Get fail with ErrChecksum if they
// would finish or return an upload whose CRC32C is known not to be sum. An upload that is
// complete with such bytes is deleted, since stored bytes cannot be replaced; one that was
// finished before is kept.
func Expect(ctx context.Context, sum crc32c.Sum) context.Context {
	return context.WithValue(ctx, expectedKey{}, sum)
}

// checkExpected returns ErrChecksum unless sum is what ctx expects, or one of them is not
// known.
func checkExpected(ctx context.Context, sum *crc32c.Sum) error {
	want, expected := ctx.Value(expectedKey{}).(crc32c.Sum)
	if !expected || sum == nil || *sum == want {
		return nil
	}
	return fmt.Errorf("%w: the CRC32C is %s, not %s", ErrChecksum, sum, want)
}

// verify checks a complete upload, before it is finished, against what ctx expects, and
// deletes it if it does not match.
func (u *Uploads) verify(ctx context.Context, up Upload) error {
	store, ok := u.store.(Summer)
	if !ok || ctx.Value(expectedKey{}) == nil {
		return nil
	}
	err := checkExpected(ctx, store.Sum(ctx, up))
	if err != nil {
		err = errors.Join(err, u.remove(ctx, up, Deleted))
	}
	return err
}
