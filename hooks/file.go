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
// run scripts in the server's origin.
func ServeFile(w http.ResponseWriter, r *http.Request, uploads *storage.Uploads, up storage.Upload, idle time.Duration) error {
	file, err := uploads.Open(r.Context(), up)
	if err != nil {
		return err
	}
	defer file.Close()
	h := w.Header()
	h.Set("Content-Type", up.ContentType())
	h.Set("Content-Disposition", up.Disposition())
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox")
	h.Set("ETag", fmt.Sprintf(`"%s-%x"`, up.ID, up.Created.UnixNano()))
	http.ServeContent(&patientWriter{w, http.NewResponseController(w), idle}, r, "", up.Touched, file)
	return nil
}

// patientWriter gives a client that takes a file its time, as long as it takes
// something now and then.
type patientWriter struct {
	http.ResponseWriter
	ctl  *http.ResponseController
	idle time.Duration
}

func (w *patientWriter) Write(p []byte) (int, error) {
	if w.idle > 0 {
		_ = w.ctl.SetWriteDeadline(time.Now().Add(w.idle))
	}
	return w.ResponseWriter.Write(p)
}
