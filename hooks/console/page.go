package console

import (
	_ "embed"
	"net/http"

	"github.com/holdfast-upload/holdfast/hooks/transport"
)

//go:embed page.html
var pageHTML []byte

//go:embed page.css
var pageCSS []byte

//go:embed page.js
var pageJS []byte

//go:embed draw.js
var drawJS []byte

// Register adds the page to the handlers of an admin address: GET / and what it loads from
// GET /console/. It retries deliveries by POST /deliveries/retry of package hooks/admin.
func (c *Console) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { transport.ServePage(w, pageHTML) })
	asset := func(name, contentType string, content []byte) {
		mux.HandleFunc("GET /console/"+name, func(w http.ResponseWriter, r *http.Request) { transport.ServeAsset(w, r, contentType, content) })
	}
	asset("page.css", "text/css; charset=utf-8", pageCSS)
	asset("page.js", "text/javascript; charset=utf-8", pageJS)
	asset("draw.js", "text/javascript; charset=utf-8", drawJS)
	mux.HandleFunc("GET /console/events", c.serveEvents)
}
