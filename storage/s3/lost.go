package s3

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

var (
	// errLost means that S3 shows neither all parts of an upload nor its file.
	errLost = errors.New("neither parts nor file found in S3")
	// errCompleting is errLost, as long as the cause may be that another process completes
	// the multipart upload.
	errCompleting = fmt.Errorf("%w: %w", storage.ErrCompleting, errLost)
)

// lostError returns the error for an upload of which S3 shows neither parts nor file: a
// transient one until it has been so for lostGrace, and ErrGone then. Some servers show
// neither while they complete the multipart upload, and treating that as ErrGone would
// have the new file removed.
func (s *Store) lostError(ctx context.Context, id string) error {
	since := s.missingSince(id)
	if time.Since(since) < s.opts.lostGrace {
		s.reportLost(ctx, id, since)
		return storage.Unavailable("load", id, errCompleting)
	}
	return fmt.Errorf("load %s: %w: %w since %s", id, storage.ErrGone, errLost, since.Format(time.RFC3339))
}

// reportLost logs once that an upload is lost, when that has been so for longer than S3 takes
// to complete a multipart upload.
func (s *Store) reportLost(ctx context.Context, id string, since time.Time) {
	if time.Since(since) < s.opts.lostGrace/15 {
		return
	}
	s.mu.Lock()
	_, reported := s.reported[id]
	s.reported[id] = struct{}{}
	s.mu.Unlock()
	if reported {
		return
	}
	s.opts.Log.WarnContext(ctx, "S3 has neither the parts nor the file of an upload: something other than holdfast has aborted its multipart upload, or removed its file; look for a lifecycle rule of the bucket that aborts incomplete multipart uploads",
		"id", id, "since", since, "gone_at", since.Add(s.opts.lostGrace))
}

// dropReported forgets the reports about uploads that are not missing any more. s.mu is held.
func (s *Store) dropReported() {
	maps.DeleteFunc(s.reported, func(id string, _ struct{}) bool {
		_, missing := s.missing[id]
		return !missing
	})
}
