package webhook

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/tus/tusd/v2/pkg/handler"
	tusd "github.com/tus/tusd/v2/pkg/hooks"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
)

// ticket is the query parameter with a credential.
const ticket = "ticket"

// secretHeaders are the headers with credentials, whatever the authentication.
var secretHeaders = []string{"Authorization", "Cookie", "Proxy-Authorization"}

// body is the body of a hook: tusd's, with the owner of the upload, if it has one, and the
// metadata that are not UTF-8.
type body struct {
	tusd.HookRequest
	Owner          string            `json:",omitempty"`
	MetaDataBase64 map[string][]byte `json:",omitempty"`
}

// hook returns the body of a hook in tusd's format.
func (a *Webhooks) hook(typ tusd.HookType, up storage.Upload, r handler.HTTPRequest) []byte {
	info := handler.FileInfo{
		ID: up.ID, Size: up.Size, Offset: up.Offset(), MetaData: handler.MetaData(maps.Clone(up.Metadata)),
		IsPartial: up.Partial, IsFinal: len(up.Parts) > 0, PartialUploads: up.Parts,
	}
	if up.Size == storage.Unknown {
		info.Size, info.SizeIsDeferred = 0, true
	}
	if info.MetaData == nil {
		info.MetaData = handler.MetaData{}
	}
	if a.opts.Storage != nil && typ != tusd.HookPreCreate {
		info.Storage = withChecksums(up, a.opts.Storage(up))
	}
	event := handler.HookEvent{Upload: info, HTTPRequest: r}
	text, err := json.Marshal(body{tusd.HookRequest{Type: typ, Event: event}, up.Owner, binaryMetadata(up.Metadata)})
	if err != nil {
		panic(err) // strings and numbers can always be encoded
	}
	return text
}

// request returns the client's request as hooks describe it: without credentials, unless
// Options.Forward names them.
func (a *Webhooks) request(ctx context.Context) handler.HTTPRequest {
	r := protocol.RequestOf(ctx)
	out := handler.HTTPRequest{Method: r.Method, URI: r.URI, RemoteAddr: r.RemoteAddr, Header: r.Header.Clone()}
	for _, name := range slices.Concat(secretHeaders, a.opts.Secret) {
		if !a.forwards(name) {
			out.Header.Del(name)
		}
	}
	if !a.forwards(ticket) {
		out.URI = withoutTicket(out.URI)
	}
	return out
}

func (a *Webhooks) forwards(name string) bool {
	return slices.ContainsFunc(a.opts.Forward, func(f string) bool { return strings.EqualFold(f, name) })
}

// withoutTicket removes the ticket from the query of a URI.
func withoutTicket(uri string) string {
	path, query, ok := strings.Cut(uri, "?")
	if !ok {
		return uri
	}
	if query = protocol.WithoutParam(query, ticket); query == "" {
		return path
	}
	return path + "?" + query
}

// forward returns the headers of a client's request that are sent with the hook.
func (a *Webhooks) forward(r handler.HTTPRequest) http.Header {
	h := http.Header{}
	for _, name := range a.opts.Forward {
		name = http.CanonicalHeaderKey(name)
		if values, ok := r.Header[name]; ok && name != "Host" && name != "Content-Length" {
			h[name] = values
		}
	}
	return h
}

// size estimates the memory of a request, in bytes.
func size(r handler.HTTPRequest) int {
	n := len(r.Method) + len(r.URI) + len(r.RemoteAddr)
	for name, values := range r.Header {
		n += len(name) + 48
		for _, v := range values {
			n += len(v) + 16
		}
	}
	return n
}

// withChecksums adds the known checksums of a file to its location.
func withChecksums(up storage.Upload, location map[string]string) map[string]string {
	if up.CRC32C != nil {
		location["CRC32C"] = up.CRC32C.String()
	}
	if sum := up.SHA256(); sum != nil {
		location["SHA256"] = hex.EncodeToString(sum)
	}
	return location
}
