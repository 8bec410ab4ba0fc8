package limits

import "log/slog"

// NewMemory returns the counter of this process.
func NewMemory() Counter { return newMemory() }

// NewFallback returns a counter that uses shared while that works.
func NewFallback(shared Counter, log *slog.Logger) *fallback {
	return &fallback{shared: shared, memory: newMemory(), log: log}
}

// RetryNow makes the next call try the shared counter.
func (f *fallback) RetryNow() { f.next.Store(0) }

// Down reports whether the shared counter is considered down.
func (f *fallback) Down() bool { return f.down.Load() }
