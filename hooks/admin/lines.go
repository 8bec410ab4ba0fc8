package admin

import (
	"encoding/json"
	"iter"
	"net/http"
	"sync"

	"github.com/holdfast-upload/holdfast/storage"
)

// errorLine stands for something that could not be listed.
type errorLine struct {
	Error string `json:"error"`
}

// writeEach calls write for each upload, and writes a line for what could not be listed.
func (l *lineWriter) writeEach(uploads iter.Seq2[storage.Upload, error], write func(storage.Upload)) {
	for up, err := range uploads {
		if err != nil {
			l.write(errorLine{err.Error()})
			continue
		}
		write(up)
	}
}

// lineWriter writes JSON values, one in a line, each as soon as it is known.
type lineWriter struct {
	mu  sync.Mutex
	w   http.ResponseWriter
	ctl *http.ResponseController
}

func newLineWriter(w http.ResponseWriter) *lineWriter {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	return &lineWriter{w: w, ctl: http.NewResponseController(w)}
}

func (l *lineWriter) write(v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = json.NewEncoder(l.w).Encode(v) // the client may be gone
	_ = l.ctl.Flush()
}
