// Package uploadpage serves a web page that uploads files to this server.
//
// The page is below the base path of uploads, at a name that no upload can have, so it is
// reached wherever uploads are. It consists of three small files without anything from
// elsewhere. What it knows of the server it has from the URL of the page: uploads are one
// level above.
package uploadpage

import (
	_ "embed"
	"net/http"
	"strings"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/transport"
)

// Name is the name of the page below the base path. An upload's id begins with a letter or
// a digit: see storage.CheckID.
const Name = "_upload"

//go:embed page.html
var pageHTML []byte

//go:embed page.css
var pageCSS []byte

//go:embed transfer.js
var transferJS []byte

//go:embed page.js
var pageJS []byte

// Page is an http.Handler for GET and HEAD of the paths that it serves. Create it with New.
type Page struct{ path string }

// New returns the page of the server whose uploads are below basePath, which ends with "/".
func New(basePath string) *Page { return &Page{basePath + Name} }

// Serves reports whether path is that of the page or below it.
func (p *Page) Serves(path string) bool {
	return path == p.path || strings.HasPrefix(path, p.path+"/")
}

// ServeHTTP implements http.Handler.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		protocol.RejectMethod(w, r, "GET, HEAD")
		return
	}
	switch strings.TrimPrefix(r.URL.Path, p.path) {
	case "":
		// Relative, because a proxy may have changed what is before the name. The browser keeps
		// the fragment, which may hold a ticket.
		w.Header().Set("Location", Name+"/")
		w.WriteHeader(http.StatusMovedPermanently)
	case "/":
		transport.ServePage(w, pageHTML)
	case "/page.css":
		transport.ServeAsset(w, r, "text/css; charset=utf-8", pageCSS)
	case "/transfer.js":
		transport.ServeAsset(w, r, "text/javascript; charset=utf-8", transferJS)
	case "/page.js":
		transport.ServeAsset(w, r, "text/javascript; charset=utf-8", pageJS)
	default:
		http.Error(w, "Nothing is here. The page is "+p.path+"/.", http.StatusNotFound)
	}
}
