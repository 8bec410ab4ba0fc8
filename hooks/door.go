// Package hooks is what the doors share: how a request finds its door, where an
// upload's URL leads, what an error means in HTTP, and how a body is read from a
// client that may fall silent.
//
// A door parses requests of one protocol and prints its answers; storage.Uploads
// acts. Doors know nothing of each other, and an upload made at one of them can
// be watched, continued and finished at another.
package hooks

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/rs/cors"
)

// Door serves one protocol.
type Door interface {
	// Claims tells whether the request speaks this door's protocol.
	Claims(r *http.Request) bool
	// Advertise sets the headers by which an OPTIONS answer tells of the protocol.
	Advertise(h http.Header)

	http.Handler
}

// Options is what every door needs besides the core.
type Options struct {
	URLs URLs
	// IdleTimeout is how long a client may send, or take, nothing.
	IdleTimeout time.Duration
	// LockTimeout is how long a request waits for another of the same upload to end.
	LockTimeout time.Duration
	Stopper     *Stopper
	Log         *slog.Logger
}

// CORS says which web pages may use the doors from a browser.
type CORS struct {
	// Origins are the allowed ones, such as "https://app.example.com"; "*" allows
	// every page. None turns CORS off.
	Origins []string
}

// Router hands each request to the first of the doors that claims it, answers
// OPTIONS for all of them, and logs a line for each.
func Router(c CORS, log *slog.Logger, doors ...Door) http.Handler {
	return logged(log, c.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions {
			advertise(w, doors)
			return
		}
		for _, door := range doors {
			if door.Claims(r) {
				door.ServeHTTP(w, r)
				return
			}
		}
		w.Header().Set("Allow", allowed)
		http.Error(w, "this method means nothing here", http.StatusMethodNotAllowed)
	})))
}

const allowed = "OPTIONS, HEAD, GET, POST, PUT, PATCH, DELETE"

func advertise(w http.ResponseWriter, doors []Door) {
	w.Header().Set("Allow", allowed)
	for _, door := range doors {
		door.Advertise(w.Header())
	}
	// Not 204: some browsers take only 200 for a preflight that succeeded.
	w.WriteHeader(http.StatusOK)
}

func (c CORS) wrap(next http.Handler) http.Handler {
	if len(c.Origins) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins: c.Origins,
		AllowedMethods: []string{"HEAD", "GET", "POST", "PUT", "PATCH", "DELETE"},
		AllowedHeaders: []string{"*"},
		ExposedHeaders: []string{
			"Location", "Range", "Content-Range", "Content-Disposition", "Accept-Ranges", "ETag", "Retry-After",
			"Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm",
			"Upload-Offset", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata", "Upload-Concat", "Upload-Expires",
		},
		MaxAge:             int((24 * time.Hour).Seconds()),
		OptionsPassthrough: true,
	}).Handler(next)
}

// logged logs a line for each request: no header and no query, which may be secret.
func logged(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rec := &recorder{ResponseWriter: w}
		defer func() {
			log.InfoContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path, "range", r.Header.Get("Content-Range"),
				"offset", r.Header.Get("Upload-Offset"), "status", rec.status, "took", time.Since(began), "client", r.RemoteAddr)
		}()
		next.ServeHTTP(rec, r)
	})
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
