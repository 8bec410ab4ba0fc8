package storage_test

import (
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/storagetest"
)

func TestLocalLockerKeepsThePromisesOfALocker(t *testing.T) {
	locker := new(storage.LocalLocker)
	storagetest.TestLocker(t, func() storage.Locker { return locker })
}
