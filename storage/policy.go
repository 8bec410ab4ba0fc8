package storage

import "context"

// Policy decides what may happen to uploads. Each function may be nil; the zero value
// allows everything. The functions may be called by several goroutines at once.
type Policy struct {
	// BeforeCreate is called before a record is written. It may change the record, or
	// return an error to reject the upload.
	BeforeCreate func(ctx context.Context, rec *Record) error
	// CreateFailed is called for a record that BeforeCreate accepted if it was not
	// written after all, as far as is known.
	CreateFailed func(ctx context.Context, rec Record)
	// Authorize is called before an upload is shown to or changed for a client. The
	// client gets its error: ErrNotFound conceals that the upload exists.
	Authorize func(ctx context.Context, up Upload) error
	// BeforeFinish is called before the file of a complete upload is made. The client that
	// sent the last byte gets its error, and the next request for the upload calls it
	// again. Several processes may call it at once.
	BeforeFinish func(ctx context.Context, up Upload) error
}

// Policies returns a policy that applies all of policies in their order, and stops at
// the first error.
func Policies(policies ...Policy) Policy {
	var all Policy
	for _, p := range policies {
		all.BeforeCreate = chain(all.BeforeCreate, p.BeforeCreate)
		all.CreateFailed = fanOut(all.CreateFailed, p.CreateFailed)
		all.Authorize = chain(all.Authorize, p.Authorize)
		all.BeforeFinish = chain(all.BeforeFinish, p.BeforeFinish)
	}
	return all
}

func chain[T any](first, second func(context.Context, T) error) func(context.Context, T) error {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(ctx context.Context, v T) error {
		if err := first(ctx, v); err != nil {
			return err
		}
		return second(ctx, v)
	}
}

func fanOut[T any](first, second func(context.Context, T)) func(context.Context, T) {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(ctx context.Context, v T) {
		first(ctx, v)
		second(ctx, v)
	}
}
