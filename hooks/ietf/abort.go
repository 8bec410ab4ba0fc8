package ietf

import "github.com/holdfast-upload/holdfast/storage"

var _ storage.CanAbort = (*content)(nil)

// Abort implements storage.CanAbort.
func (c *content) Abort(err error) { c.x.body.Abort(err) }
