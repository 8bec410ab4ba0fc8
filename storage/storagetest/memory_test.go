package storagetest

import (
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
)

func TestMemoryKeepsThePromisesOfAStore(t *testing.T) {
	TestStore(t, func(*testing.T) Harness {
		m := NewMemory(4096)
		return Harness{
			Open: func() storage.Store { m = m.Restart(); return m },
			Node: func() storage.Store { return m.Node() },
			Move: func(up storage.Upload) { m.MoveFile(up.ID) },
		}
	})
}

func TestJoinerKeepsThePromisesOfAStore(t *testing.T) {
	TestStore(t, func(*testing.T) Harness {
		m := NewMemory(100_000)
		return Harness{Open: func() storage.Store { m = m.Restart(); return Joiner{m} }, Move: func(up storage.Upload) { m.MoveFile(up.ID) }}
	})
}
