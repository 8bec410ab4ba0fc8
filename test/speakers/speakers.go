// Package speakers has a client of each upload protocol, for tests in which several of them
// share an upload. Each sends plain requests as the specification of its protocol has them,
// demands the statuses and header fields that are specified, and reads the state of the
// upload from what its protocol says of it.
package speakers

import (
	"errors"
	"io"
	"net/http"
)

// Unknown is a size or an offset that a protocol does not say.
const Unknown = -1

// Errors of speakers, where the protocol has words for them.
var (
	// ErrGone: the upload is gone.
	ErrGone = errors.New("the upload is gone")
	// ErrConflict: the chunk begins beyond what was received.
	ErrConflict = errors.New("the chunk begins beyond the offset")
)

// Speaker is a client of one protocol. Its methods fail if an answer is not as specified.
type Speaker interface {
	Name() string
	// Begin creates an upload, and returns its id and state. It sends first, if the protocol
	// can't begin without: see Nature.
	Begin(c *Client, first Chunk) (id string, _ State, _ error)
	// Status asks for the state. Error: ErrGone.
	Status(c *Client, id string) (State, error)
	// Append sends a chunk, and returns the state in the answer. Errors: ErrGone; ErrConflict
	// with the state.
	Append(c *Client, id string, chunk Chunk) (State, error)
	// Download returns the finished file.
	Download(c *Client, id string) ([]byte, error)
	// Cancel deletes the upload.
	Cancel(c *Client, id string) error
}

// Chunk is a part of a file.
type Chunk struct {
	Offset int64
	Body   []byte
	// Total is the size of the file.
	Total int64
	// Sized has the client say the size, where it has the choice.
	Sized bool
	// Last has the client say that the file ends here, as well as its size. Such a chunk may
	// be empty.
	Last bool
}

func (c Chunk) end() int64 { return c.Offset + int64(len(c.Body)) }

// State is what a protocol says of an upload.
type State struct {
	Complete bool
	Offset   int64 // end of the first unbroken range; Unknown if the upload is complete and the protocol has no word for it
	Size     int64 // Unknown also if the protocol has no word for it
}

// Nature is what a protocol can't say or do, and how it differs from the others.
type Nature struct {
	// BeginsWithBytes: there is no creation of an upload without a byte.
	BeginsWithBytes bool
	// Gaps: a chunk may begin beyond what was received.
	Gaps bool
	// AlwaysSized: each chunk has the size of the file.
	AlwaysSized bool
	// EndsWithBytes: there is no request that only ends an upload, and no empty file.
	EndsWithBytes bool
	// Flushes: the state has what was received of a body that is still being sent.
	Flushes bool
	// EndsOthers: asking for the state ends a request that holds the lock of the upload.
	EndsOthers bool
	// Locks: a chunk holds the lock of the upload while it is sent.
	Locks bool
	// SaysSize: the state has the size of an incomplete upload, if it is known.
	SaysSize bool
}

// Natures has the nature of each protocol, by its name.
var Natures = map[string]Nature{
	// PATCH continues at Upload-Offset alone (tus 1.0, section PATCH).
	"tus": {Flushes: true, Locks: true, SaysSize: true},
	// The URL is of the client's choice, and its first PUT creates the upload: with the first
	// chunk, or with the end of an empty file.
	"content-range": {BeginsWithBytes: true, Gaps: true, SaysSize: true},
	// PATCH continues at Upload-Offset alone (section Upload Append). HEAD should end the
	// request that is appending (section Concurrency).
	"ietf": {Flushes: true, EndsOthers: true, Locks: true, SaysSize: true},
	// Google's own servers want chunks in order, and all but the last in multiples of 256
	// KiB; here a chunk may be anywhere, of any length. A 308 has no size.
	"google": {Gaps: true, Flushes: true},
	// A chunk has "bytes a-b/T", without exception; Microsoft's own servers want them in
	// order, and in multiples of 320 KiB.
	"graph": {Gaps: true, AlwaysSized: true, EndsWithBytes: true, SaysSize: true},
}

// Client sends requests, each to another node.
type Client struct {
	HTTP *http.Client // must not follow redirects: 308 is none here
	// Nodes are the addresses of the servers, HOST:PORT.
	Nodes []string
	// Body, if set, is what the body of each request is read from.
	Body func(io.Reader) io.Reader
	next int
}

// NewHTTP returns an http.Client for speakers.
func NewHTTP() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 32},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// node returns the address of the node for the next request.
func (c *Client) node() string {
	c.next++
	return c.Nodes[c.next%len(c.Nodes)]
}
