package auth

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
)

// BeforeCreate is for storage.Policy.BeforeCreate: it checks that the principal may create
// the upload, and makes the principal its owner. It allows what the server does for itself.
//
// Errors: storage.ErrForbidden, storage.ErrTooLarge.
func BeforeCreate(ctx context.Context, rec *storage.Record) error {
	c, ok := protocol.PrincipalFrom(ctx)
	if !ok {
		return nil
	}
	if err := assignID(c, rec); err != nil {
		return err
	}
	if !allowsType(c, *rec) {
		return fmt.Errorf("%w: content type %.100q is not allowed", storage.ErrForbidden, rec.ContentType())
	}
	rec.Owner = c.Subject
	if c.MaxSize > 0 && (rec.MaxSize == 0 || c.MaxSize < rec.MaxSize) {
		rec.MaxSize = c.MaxSize
	}
	if rec.MaxSize > 0 && rec.Size > rec.MaxSize { // reject it before it is counted
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", storage.ErrTooLarge, rec.Size, rec.MaxSize)
	}
	if c.ExpireAfter > 0 {
		rec.ExpireAfter = c.ExpireAfter
	}
	return nil
}

// assignID sets an id that the principal may use.
func assignID(c protocol.Principal, rec *storage.Record) error {
	switch {
	case c.Grant != nil && !c.Grant.Create:
		return fmt.Errorf("%w: the ticket does not allow creating an upload", storage.ErrForbidden)
	case c.Grant != nil && rec.ClientChosenID && rec.ID != c.Grant.Upload:
		return errOtherUpload
	case c.Grant != nil:
		rec.ID = c.Grant.Upload
	case !rec.ClientChosenID:
		rec.ID = c.IDPrefix + rec.ID
	case !strings.HasPrefix(rec.ID, c.IDPrefix):
		return fmt.Errorf("%w: the upload id must begin with %.100q", storage.ErrForbidden, c.IDPrefix)
	}
	return nil
}

// allowsType reports whether the principal may upload a file of this type. Partial uploads
// need no type: that of the final upload is checked.
func allowsType(c protocol.Principal, rec storage.Record) bool {
	typ, _, _ := strings.Cut(rec.ContentType(), ";")
	if len(c.ContentTypes) == 0 || rec.Partial && typ == "application/octet-stream" {
		return true
	}
	mainType, _, _ := strings.Cut(typ, "/")
	return slices.ContainsFunc(c.ContentTypes, func(allowed string) bool {
		return strings.EqualFold(allowed, typ) || strings.EqualFold(allowed, mainType+"/*")
	})
}

var errOtherUpload = fmt.Errorf("%w: the ticket is for another upload", storage.ErrForbidden)

// Authorize is for storage.Policy.Authorize: it hides uploads of other owners from the
// principal. It allows what the server does for itself.
//
// Errors: storage.ErrNotFound for an upload of another owner, storage.ErrForbidden for
// what a ticket does not grant.
func Authorize(ctx context.Context, up storage.Upload) error {
	c, ok := protocol.PrincipalFrom(ctx)
	if !ok {
		return nil
	}
	if g := c.Grant; g != nil {
		return authorizeTicket(c, *g, up)
	}
	if up.Owner != c.Subject {
		return storage.ErrNotFound
	}
	return nil
}

func authorizeTicket(c protocol.Principal, g protocol.Grant, up storage.Upload) error {
	switch {
	case up.ID != g.Upload:
		return errOtherUpload
	case c.Subject != "" && up.Owner != c.Subject:
		return storage.ErrNotFound // the id was reused for another upload
	}
	return nil
}
