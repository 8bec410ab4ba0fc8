package admin

import (
	"encoding/json"
	"net/http"
	"sync"
)

// errorLine stands for something that could not be listed.
type errorLine struct {
	Error string `json:"error"`
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
