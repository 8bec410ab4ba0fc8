package transport

import (
	"fmt"
	"net/http"

	"github.com/holdfast-upload/holdfast/storage"
)

// ServeFile serves the file of a finished upload for GET and HEAD, with ranges and
// conditional requests (RFC 9110, sections 13 and 14). Browsers are asked to save it and
// not to display it, so that an uploaded file cannot run scripts in the server's origin.
// If the store provides a link to the file, a GET is redirected there. It does not
// authorize: protocols call protocol.ServeFile, which does.
func ServeFile(w http.ResponseWriter, r *http.Request, uploads *storage.Uploads, up storage.Upload) error {
	if r.Method == http.MethodGet && r.Header.Get("Tus-Resumable") == "" { // or else it was a HEAD
		link, err := uploads.Link(r.Context(), up)
		if err != nil {
			return err
		}
		if link != "" {
			redirect(w, link)
			return nil
		}
	}
	file, err := uploads.Open(r.Context(), up)
	if err != nil {
		return err
	}
	defer file.Close()
	h := w.Header()
	h.Set("Content-Type", up.ContentType())
	h.Set("Content-Disposition", up.Disposition())
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", NoScripts)
	SetReprDigest(h, r, up)
	h.Set("ETag", fmt.Sprintf(`"%s-%x"`, up.ID, up.Created.UnixNano()))
	http.ServeContent(w, withoutManyRanges(r, up.Size), "", up.ModifiedAt, file)
	return nil
}

// redirect redirects to a link that is secret and temporary.
func redirect(w http.ResponseWriter, link string) {
	h := w.Header()
	h.Set("Location", link)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusTemporaryRedirect)
}
