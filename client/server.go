package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// server is what a server says of itself by OPTIONS.
type server struct {
	contentRange bool     // takes chunks by PUT, in any order
	tus          bool     // speaks tus 1.0
	extensions   []string // of tus
	checksums    []string // the algorithms of Upload-Checksum
	maxSize      int64    // of an upload in bytes, 0 if unknown
}

// discover asks the server at u what it takes, once per Client and URL.
func (h host) discover(ctx context.Context, u *url.URL) (server, error) {
	forced := h.client.opts.Protocol
	if forced == ContentRange {
		return server{contentRange: true}, nil
	}
	base := *u
	base.RawQuery = ""
	if !strings.HasSuffix(base.Path, "/") {
		base.Path = base.Path[:strings.LastIndexByte(base.Path, '/')+1]
	}
	h.client.mu.Lock()
	known, ok := h.client.servers[base.String()]
	h.client.mu.Unlock()
	if ok {
		return known, nil
	}
	resp, err := h.send(ctx, request{method: http.MethodOptions, url: u})
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return server{}, &fatalError{err} // most probably a mistake in the URL
	}
	if err != nil {
		return server{}, redirected(err)
	}
	s := newServer(resp.header)
	s.contentRange = s.contentRange && forced != Tus
	s.tus = s.tus || forced == Tus
	if !s.contentRange && !s.tus {
		return server{}, &fatalError{fmt.Errorf("%w: %s announces neither tus nor Content-Range uploads in its response to OPTIONS", ErrProtocol, u.Redacted())}
	}
	h.client.mu.Lock()
	defer h.client.mu.Unlock()
	h.client.servers[base.String()] = s
	return s, nil
}

func newServer(h http.Header) server {
	list := func(name string) []string { return strings.Split(strings.ReplaceAll(h.Get(name), " ", ""), ",") }
	s := server{
		contentRange: h.Get("Accept-Content-Range") == "bytes",
		tus:          slices.Contains(list("Tus-Version"), tusVersion) || h.Get("Tus-Resumable") == tusVersion,
		extensions:   list("Tus-Extension"),
		checksums:    list("Tus-Checksum-Algorithm"),
	}
	s.maxSize, _ = strconv.ParseInt(h.Get("Tus-Max-Size"), 10, 64)
	return s
}

// redirected explains a redirect, which is not followed.
func redirected(err error) error {
	if status, ok := errors.AsType[*StatusError](err); ok && status.Status >= 300 && status.Status < 400 {
		return &fatalError{fmt.Errorf("%w: the server redirects, and uploads do not follow it: use the URL that it redirects to", err)}
	}
	return err
}

const tusVersion = "1.0.0"

// remote is the state of an upload as the server has it.
type remote struct {
	size     int64 // -1 while unknown
	received ranges.Set
	complete bool
	crc      *crc32c.Sum // of the complete file, if the server states it
	url      string      // with a ticket, if the server gives one
	expires  time.Time   // zero if it does not, or does not say
}

// state is the JSON that a holdfast server returns about an upload.
type state struct {
	Size     *int64      `json:"size"`
	Complete bool        `json:"complete"`
	Received []string    `json:"received"`
	CRC32C   *crc32c.Sum `json:"crc32c"`
	URL      string      `json:"uploadUrl"`
	Expires  time.Time   `json:"expirationDateTime"`
}

// parseState parses the JSON of a response. The one to a PUT says by its status whether the
// upload is complete.
func parseState(r response) (remote, error) {
	var s state
	if err := json.Unmarshal(r.body, &s); err != nil {
		return remote{}, fmt.Errorf("the response is not the state of an upload: %w", err)
	}
	found := remote{size: -1, complete: s.Complete || r.status == http.StatusCreated, crc: s.CRC32C, url: s.URL, expires: s.Expires}
	if s.Size != nil {
		found.size = *s.Size
	}
	for _, text := range s.Received {
		first, last, _ := strings.Cut(text, "-")
		start, err1 := strconv.ParseInt(first, 10, 64)
		end, err2 := strconv.ParseInt(last, 10, 64)
		if err := errors.Join(err1, err2); err != nil || start < 0 || end < start || end == ranges.Max {
			return remote{}, fmt.Errorf("the response has an invalid range: %.100q", text)
		}
		found.received.Add(ranges.Range{Start: start, End: end + 1})
	}
	return found, nil
}

// state asks for the state of an upload, in the protocol that the server speaks.
func (h host) state(ctx context.Context, s server, u *url.URL) (remote, error) {
	if !s.contentRange {
		return h.tusState(ctx, u)
	}
	resp, err := h.send(ctx, request{method: http.MethodGet, url: u, header: http.Header{"Accept": {"application/json"}}})
	if err != nil {
		return remote{}, err
	}
	return parseState(resp)
}

// tusState asks by HEAD (tus 1.0, section "HEAD").
func (h host) tusState(ctx context.Context, u *url.URL) (remote, error) {
	resp, err := h.send(ctx, request{method: http.MethodHead, url: u, header: tusHeader()})
	if err != nil {
		return remote{}, err
	}
	offset, err := strconv.ParseInt(resp.header.Get("Upload-Offset"), 10, 64)
	if err != nil || offset < 0 {
		return remote{}, &fatalError{fmt.Errorf("%w: %s has no Upload-Offset", ErrProtocol, u.Redacted())}
	}
	found := remote{size: -1}
	if offset > 0 {
		found.received.Add(ranges.Of(0, offset))
	}
	if size, err := strconv.ParseInt(resp.header.Get("Upload-Length"), 10, 64); err == nil {
		found.size, found.complete = size, size == offset
	}
	found.expires, _ = http.ParseTime(resp.header.Get("Upload-Expires")) // zero if there is none
	return found, nil
}

func tusHeader() http.Header { return http.Header{"Tus-Resumable": {tusVersion}} }

// create creates an upload at a collection (tus 1.0, extension Creation), and returns its
// URL.
func (h host) create(ctx context.Context, s server, collection *url.URL, src *Source) (*url.URL, error) {
	header := tusHeader()
	if src.size >= 0 {
		header.Set("Upload-Length", strconv.FormatInt(src.size, 10))
	} else {
		header.Set("Upload-Defer-Length", "1")
		if s.tus && !slices.Contains(s.extensions, "creation-defer-length") {
			return nil, &fatalError{errors.New("the server takes no files of unknown size (tus extension creation-defer-length): upload a file, not a stream")}
		}
	}
	if meta := metadata(src); meta != "" {
		header.Set("Upload-Metadata", meta)
	}
	resp, err := h.send(ctx, request{method: http.MethodPost, url: collection, header: header})
	if err != nil {
		return nil, redirected(err)
	}
	location, err := collection.Parse(resp.header.Get("Location"))
	if err != nil || resp.header.Get("Location") == "" {
		return nil, &fatalError{fmt.Errorf("%w: the response to the creation has no valid Location", ErrProtocol)}
	}
	if collection.Scheme == "https" && location.Scheme == "http" && location.Hostname() == collection.Hostname() {
		location.Scheme, location.Host = "https", collection.Host // a proxy that the server does not know of
	}
	return location, nil
}

// metadata returns the Upload-Metadata of a Source.
func metadata(src *Source) string {
	var pairs []string
	add := func(key, value string) {
		if value != "" {
			pairs = append(pairs, key+" "+base64.StdEncoding.EncodeToString([]byte(value)))
		}
	}
	add("filename", src.Name)
	add("filetype", src.ContentType)
	for key, value := range src.Metadata {
		if key != "filename" && key != "filetype" {
			add(key, value)
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}
