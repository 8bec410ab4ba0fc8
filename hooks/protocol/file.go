package protocol

import (
	"fmt"
	"net/http"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

// ServeFile serves the file of a finished upload for GET and HEAD; see
// transport.ServeFile. It returns storage.ErrForbidden if the principal's ticket does not
// allow downloads.
func ServeFile(w http.ResponseWriter, r *http.Request, uploads *storage.Uploads, up storage.Upload, idle time.Duration) error {
	if c, ok := PrincipalFrom(r.Context()); ok && c.Grant != nil && c.Grant.DenyDownload {
		return fmt.Errorf("%w: the ticket does not allow downloads", storage.ErrForbidden)
	}
	ExchangeOf(r.Context()).idle = idle
	return transport.ServeFile(w, r, uploads, up)
}
