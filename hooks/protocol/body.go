package protocol

import (
	"net/http"

	"github.com/holdfast-upload/holdfast/hooks/transport"
)

// NewBody returns a reader of r's body with these options. Close it when done.
func (o Options) NewBody(w http.ResponseWriter, r *http.Request) *transport.Body {
	b := transport.NewBody(w, r, o.IdleTimeout, o.Shutdown)
	b.UseSpools(o.Spools)
	return b
}
