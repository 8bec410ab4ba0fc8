package auth

import (
	"errors"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/storage"
)

// challenge returns the WWW-Authenticate header (RFC 6750, section 3), "" if none is needed.
func challenge(err error) string {
	const realm = `Bearer realm="holdfast"`
	switch {
	case errors.Is(err, errNone):
		return realm
	case errors.Is(err, errExpired):
		return realm + `, error="invalid_token", error_description="the credentials have expired"`
	case errors.Is(err, problem.ErrUnauthenticated):
		return realm + `, error="invalid_token", error_description="the credentials are not valid"`
	case errors.Is(err, storage.ErrForbidden):
		return realm + `, error="insufficient_scope", error_description="the credentials do not grant this"`
	}
	return ""
}
