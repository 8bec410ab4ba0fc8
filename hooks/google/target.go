package google

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/holdfast-upload/holdfast/storage"
)

// target is what the URL of a request denotes.
type target struct {
	kind         kind
	id           string // of the upload of a session
	bucket, name string // of a collection or an object
	media        bool   // the content of the object, not its description
}

type kind int

const (
	nothing    kind = iota // below the paths of the API, but not supported
	session                // an upload in progress
	collection             // where uploads to a bucket are created
	object                 // a finished upload
)

var errNoResource = fmt.Errorf("%w: this is not among the supported requests of the JSON API", storage.ErrNotFound)

// ServesPath reports whether a URL path is one of Google's API, which is outside of the
// base path.
func ServesPath(path string) bool {
	_, ok := parsePath(path)
	return ok
}

// parse returns the target of a request, and false if it is not one of this protocol. The
// URL of an upload is always that of an upload, whatever the base path.
func (h *Handler) parse(r *http.Request) (target, bool) {
	if id := h.opts.URLs.ID(r); storage.CheckID(id) == nil {
		t := target{kind: session, id: id}
		return t, t.allows(r.Method) && r.URL.Query().Get("uploadType") == "resumable"
	}
	t, ok := parsePath(r.URL.Path)
	t.media = t.media || r.URL.Query().Get("alt") == "media"
	return t, ok
}

// apiPaths maps the paths below which requests have meaning to the kind of what is there.
// A bucket's objects are at BUCKET/o, and one of them at BUCKET/o/NAME.
var apiPaths = []struct {
	prefix string
	kind   kind
}{
	{"/upload/storage/v1/b/", collection},
	{"/resumable/upload/storage/v1/b/", collection},
	{"/storage/v1/b/", object},
	{"/download/storage/v1/b/", object},
}

func parsePath(path string) (target, bool) {
	for _, p := range apiPaths {
		rest, ok := strings.CutPrefix(path, p.prefix)
		if !ok {
			continue
		}
		t := target{media: strings.HasPrefix(p.prefix, "/download")}
		bucket, name, _ := strings.Cut(rest, "/")
		if name, isObject := strings.CutPrefix(name, "o/"); isObject && name != "" && p.kind == object {
			t.kind, t.bucket, t.name = object, bucket, name
		} else if name == "o" && p.kind == collection {
			t.kind, t.bucket = collection, bucket
		}
		if bucket == "" {
			t.kind = nothing
		}
		return t, true
	}
	return target{}, false
}

// kindMethods are the methods that each kind of target supports.
var kindMethods = map[kind][]string{
	nothing:    {http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, // all are not found
	session:    {http.MethodPut, http.MethodPost, http.MethodDelete},
	collection: {http.MethodPost},
	object:     {http.MethodGet, http.MethodHead, http.MethodDelete},
}

func (t target) allows(method string) bool { return slices.Contains(kindMethods[t.kind], method) }

// methods returns the value of an Allow header.
func (t target) methods() string { return "OPTIONS, " + strings.Join(kindMethods[t.kind], ", ") }
