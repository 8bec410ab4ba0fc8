// Package uploadpage serves a web page that uploads files to this server.
//
// The page is below the base path of uploads, at a name that no upload can have, so it is
// reached wherever uploads are. It consists of three small files without anything from
// elsewhere. What it knows of the server it has from the URL of the page: uploads are one
// level above.
package uploadpage

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"io"
	"net/http"
	"strings"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
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
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	switch strings.TrimPrefix(r.URL.Path, p.path) {
	case "":
		// Relative, because a proxy may have changed what is before the name. The browser keeps
		// the fragment, which may hold a ticket.
		w.Header().Set("Location", Name+"/")
		w.WriteHeader(http.StatusMovedPermanently)
	case "/":
		servePage(w)
	case "/page.css":
		serveAsset(w, r, "text/css; charset=utf-8", pageCSS)
	case "/transfer.js":
		serveAsset(w, r, "text/javascript; charset=utf-8", transferJS)
	case "/page.js":
		serveAsset(w, r, "text/javascript; charset=utf-8", pageJS)
	default:
		http.Error(w, "Nothing is here. The page is "+p.path+"/.", http.StatusNotFound)
	}
}

// policy is the Content-Security-Policy of the page, for the nonce of one response. Scripts
// need the nonce: uploaded files have the same origin, and 'self' would allow them.
func policy(nonce string) string {
	return "default-src 'none'; script-src 'nonce-" + nonce + "'; style-src 'nonce-" + nonce + "'; img-src data:; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

func servePage(w http.ResponseWriter) {
	nonce := rand.Text()
	h := w.Header()
	h.Set("Content-Security-Policy", policy(nonce))
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY") // for browsers without frame-ancestors
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(bytes.ReplaceAll(pageHTML, []byte("{{nonce}}"), []byte(nonce))) // the client may be gone
}

// serveAsset serves a file of the page, which a browser asks for again whenever the page is
// loaded.
func serveAsset(w http.ResponseWriter, r *http.Request, contentType string, content []byte) {
	sum := sha256.Sum256(content)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", contentType)
	_, _ = io.Copy(w, bytes.NewReader(content)) // the client may be gone
}
