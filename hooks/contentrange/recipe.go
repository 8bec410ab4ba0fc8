package contentrange

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

// recipes is the document with the settings of upload libraries, a section for each. With
// them a library sends the bytes of chunks alone, with a Content-Range; most of them wrap
// chunks in forms by default.
const recipes = "docs/clients.md"

// chunkParams are the parameters that a library sends with each chunk: in the query, or as
// fields of a form before the file.
type chunkParams struct {
	library string   // a section of recipes
	number  string   // of the chunk
	total   string   // how many chunks there are
	others  []string // at least one of these is in a form that is not a chunk
}

// blueimp sends a Content-Range beside a form.
const blueimp = "blueimp jQuery File Upload"

var libraries = []chunkParams{
	{"Dropzone", "dzchunkindex", "dztotalchunkcount", nil},
	{"Flow.js", "flowChunkNumber", "flowTotalChunks", []string{"flowIdentifier"}},
	{"Resumable.js", "resumableChunkNumber", "resumableTotalChunks", []string{"resumableIdentifier"}},
	{"simple-uploader.js", "chunkNumber", "totalChunks", nil},
	{"Plupload", "chunk", "chunks", nil},
	{"Fine Uploader", "qqpartindex", "qqtotalparts", []string{"qquuid", "qqfile"}},
	{"FilePond", "", "", []string{"filepond"}},
	{blueimp, "", "", nil},
}

// recipeFor returns the upload library that sends such a request by default, "" if none is
// known to: a section of recipes. With the settings there it sends no such request. recipeFor
// looks at the method, the URL and the header, and at the names of the fields with which a form
// begins.
func recipeFor(r *http.Request, formFields []string) string {
	hasRange := len(r.Header.Values("Content-Range")) > 0
	switch {
	case hasTusHeaders(r):
		return ""
	case isForm(r):
		return libraryOfForm(r, formFields)
	case r.Method == http.MethodPatch && !hasRange && r.Header.Get("Upload-Name") != "":
		return "FilePond"
	case hasRange:
		return ""
	}
	return libraryOfQuery(r)
}

func libraryOfForm(r *http.Request, fields []string) string {
	for _, l := range libraries {
		isChunk := l.number != "" && slices.Contains(fields, l.number) && slices.Contains(fields, l.total)
		isOther := slices.ContainsFunc(l.others, func(field string) bool { return slices.Contains(fields, field) })
		if isChunk || isOther {
			return l.library
		}
	}
	if len(r.Header.Values("Content-Range")) > 0 {
		return blueimp
	}
	return libraryOfQuery(r)
}

// libraryOfQuery recognizes a chunk, and the question for one. The only chunk of a file is all
// of it, which may be sent without a Content-Range.
func libraryOfQuery(r *http.Request) string {
	if r.URL.RawQuery == "" || r.Method == http.MethodHead || r.Method == http.MethodDelete {
		return ""
	}
	query := r.URL.Query()
	for _, l := range libraries {
		isChunk := l.number != "" && query.Has(l.number) && query.Has(l.total)
		isWhole := r.Method == http.MethodPut && query.Get(l.total) == "1"
		if isChunk && !isWhole {
			return l.library
		}
	}
	return ""
}

// form is the type of bodies that wrap a file.
const form = "multipart/form-data"

// isForm reports whether a form is sent. Without a body, the type has no meaning.
func isForm(r *http.Request) bool {
	sends := r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch
	return sends && mediaType(r.Header) == form
}

// needsRecipe reports whether checkRecipe rejects a request for its method, URL or header.
func needsRecipe(r *http.Request) bool {
	return isForm(r) && !hasTusHeaders(r) || recipeFor(r, nil) != ""
}

// checkRecipe rejects a request of an upload library that is not configured, with a message
// that names its recipe. No library repeats a chunk for ever that is answered 415, and to a
// question for a chunk 400 is "send it", after which that is rejected.
func checkRecipe(r *http.Request, body *transport.Body) error {
	if !needsRecipe(r) {
		return nil
	}
	if isForm(r) {
		return rejectForm(recipeFor(r, formFields(r, body)))
	}
	kind, library := problem.ErrMediaType, recipeFor(r, nil)
	if r.Method == http.MethodGet {
		kind = storage.ErrBadRequest
	}
	return fmt.Errorf("%w: %s sends chunks without a Content-Range: it sends one with the settings in %s, section %s",
		kind, library, recipes, library)
}

func rejectForm(library string) error {
	where := "for the settings of upload libraries see " + recipes
	if library != "" {
		where = fmt.Sprintf("%s does that with the settings in %s, section %s", library, recipes, library)
	}
	return fmt.Errorf("%w: %s wraps the file in a form: send its bytes alone as the body, as curl -T FILE, "+
		"XMLHttpRequest.send(file) and fetch(url, {method: \"PUT\", body: file}) do; %s", problem.ErrMediaType, form, where)
}

// acceptedStatus returns the status that says that a chunk is stored and more are missing.
// Resumable.js sends a chunk again after 202.
func acceptedStatus(r *http.Request) int {
	if r.URL.RawQuery != "" && r.URL.Query().Has("resumableChunkNumber") {
		return http.StatusOK
	}
	return http.StatusAccepted
}

// maxFields is how much of a form is read for the names of its fields, in bytes. The fields of
// upload libraries come before the file.
const maxFields = 4 << 10

// formFields returns the names of the fields with which a form begins. It reads nothing from
// a client that waits for 100-continue.
func formFields(r *http.Request, body io.Reader) (names []string) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || params["boundary"] == "" || r.Header.Get("Expect") != "" {
		return nil
	}
	beginning, _ := io.ReadAll(io.LimitReader(body, maxFields)) // as much as there is
	parts := multipart.NewReader(bytes.NewReader(beginning), params["boundary"])
	for {
		part, err := parts.NextPart()
		if err != nil {
			return names
		}
		names = append(names, part.FormName())
	}
}
