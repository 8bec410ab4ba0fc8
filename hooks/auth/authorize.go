package auth

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/holdfast-upload/holdfast/hooks"
	"github.com/holdfast-upload/holdfast/storage"
)

// Admit is for storage.Options.Admit: it lets the caller make an upload that he may
// make, and makes it his. What the server does for itself it lets pass.
//
// Errors: storage.ErrForbidden, storage.ErrTooLarge.
func BeforeCreate(ctx context.Context, rec *storage.Record) error {
	c, ok := hooks.PrincipalFrom(ctx)
	if !ok {
		return nil
	}
	if err := name(c, rec); err != nil {
		return err
	}
	if !allowsType(c, *rec) {
		return fmt.Errorf("%w: files of the type %.100q", storage.ErrForbidden, rec.ContentType())
	}
	rec.Owner = c.Subject
	if c.MaxSize > 0 && (rec.MaxSize == 0 || c.MaxSize < rec.MaxSize) {
		rec.MaxSize = c.MaxSize
	}
	if rec.MaxSize > 0 && rec.Size > rec.MaxSize { // now, before it counts
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", storage.ErrTooLarge, rec.Size, rec.MaxSize)
	}
	if c.ExpireAfter > 0 {
		rec.ExpireAfter = c.ExpireAfter
	}
	return nil
}

// name gives an upload an id that the caller may use.
func name(c hooks.Principal, rec *storage.Record) error {
	switch {
	case c.Grant != nil && !c.Grant.Create:
		return fmt.Errorf("%w: the ticket is for an upload that is there, and makes none", storage.ErrForbidden)
	case c.Grant != nil && rec.ClientChosenID && rec.ID != c.Grant.Upload:
		return errOtherUpload
	case c.Grant != nil:
		rec.ID = c.Grant.Upload
	case !rec.ClientChosenID:
		rec.ID = c.IDPrefix + rec.ID
	case !strings.HasPrefix(rec.ID, c.IDPrefix):
		return fmt.Errorf("%w: ids begin with %.100q here", storage.ErrForbidden, c.IDPrefix)
	}
	return nil
}

// takes tells whether the caller may send a file of this type. One that is only a part
// of a file need not have any: that of the whole is looked at.
func allowsType(c hooks.Principal, rec storage.Record) bool {
	typ, _, _ := strings.Cut(rec.ContentType(), ";")
	if len(c.ContentTypes) == 0 || rec.Partial && typ == "application/octet-stream" {
		return true
	}
	kind, _, _ := strings.Cut(typ, "/")
	return slices.ContainsFunc(c.ContentTypes, func(allowed string) bool {
		return strings.EqualFold(allowed, typ) || strings.EqualFold(allowed, kind+"/*")
	})
}

var errOtherUpload = fmt.Errorf("%w: the ticket is for another upload", storage.ErrForbidden)

// Permit is for storage.Options.Permit: it hides from the caller what is not his. What
// the server does for itself it lets pass.
//
// Errors: storage.ErrNotFound for an upload of somebody else, storage.ErrForbidden for
// what a ticket does not grant.
func Authorize(ctx context.Context, up storage.Upload) error {
	c, ok := hooks.PrincipalFrom(ctx)
	if !ok {
		return nil
	}
	if g := c.Grant; g != nil {
		return permitTicket(c, *g, up)
	}
	if up.Owner != c.Subject {
		return storage.ErrNotFound
	}
	return nil
}

func permitTicket(c hooks.Principal, g hooks.Grant, up storage.Upload) error {
	switch {
	case up.ID != g.Upload:
		return errOtherUpload
	case c.Subject != "" && up.Owner != c.Subject:
		return storage.ErrNotFound // another upload has taken the id
	}
	return nil
}
