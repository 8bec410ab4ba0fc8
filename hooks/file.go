package hooks

import (
	"fmt"
	"net/http"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
)

// ServeFile answers a GET or HEAD with the file of a finished upload, in full or
// in the ranges asked for, with the conditions of RFC 9110, section 13. A
// browser is told to save it, never to show it: whoever uploaded it must not
// run scripts in the server's origin. Where the store wants it so, a GET is sent to
// where the file lies. A caller whose ticket does not allow it is storage.ErrForbidden.
func ServeFile(w http.ResponseWriter, r *http.Request, uploads *storage.Uploads, up storage.Upload, idle time.Duration) error {
	if c, ok := PrincipalFrom(r.Context()); ok && c.Grant != nil && c.Grant.DenyDownload {
		return fmt.Errorf("%w: the ticket does not allow to download the file", storage.ErrForbidden)
	}
	if r.Method == http.MethodGet {
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
	http.ServeContent(&deadlineWriter{w, http.NewResponseController(w), idle}, r, "", up.ModifiedAt, file)
	return nil
}

// redirect sends the client to a link that is a secret, and does not last.
func redirect(w http.ResponseWriter, link string) {
	h := w.Header()
	h.Set("Location", link)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusTemporaryRedirect)
}

// patientWriter gives a client that takes a file its time, as long as it takes
// something now and then.
type deadlineWriter struct {
	http.ResponseWriter
	ctl  *http.ResponseController
	idle time.Duration
}

func (w *deadlineWriter) Write(p []byte) (int, error) {
	if w.idle > 0 {
		_ = w.ctl.SetWriteDeadline(time.Now().Add(w.idle))
	}
	return w.ResponseWriter.Write(p)
}
