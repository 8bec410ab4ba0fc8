// Package holdfast is an upload service for large files over bad networks, as an
// http.Handler.
//
// It serves tus, Content-Range, IETF resumable uploads, and the client libraries of Google
// Cloud Storage and Microsoft Graph from one core: an upload begun with one protocol can be
// continued, watched and finished with another. Every byte that it has acknowledged stays
// acknowledged, and the program is notified of every finished upload at least once, through
// crashes of either.
//
//	server, err := holdfast.New(holdfast.Options{Dir: "uploads", OnFinish: save})
//	if err != nil {
//		log.Fatal(err)
//	}
//	go server.Run(ctx)
//	http.Handle("/files/", server)
//
// A program that ends calls Shutdown. Serve does all of that, in its order, for a program that
// serves nothing else.
//
// By default uploads are kept in a directory. Package storage/s3 keeps them in a
// bucket, which several processes can share through package storage/redis.
package holdfast

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-upload/holdfast/hooks/auth"
	"github.com/holdfast-upload/holdfast/hooks/console"
	"github.com/holdfast-upload/holdfast/hooks/limits"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/hooks/transport"
	"github.com/holdfast-upload/holdfast/storage"
)

// Upload is the state of an upload.
type Upload = storage.Upload

// Options configure a Server. The zero value keeps uploads in the directory "data",
// and serves them to everybody below "/files/".
type Options struct {
	// Dir is the directory of the disk store, "data" if empty. It is created if it is
	// missing, and used by one process at a time. It has no meaning with a Store.
	Dir string
	// Store keeps the uploads; nil is a disk store in Dir. The caller closes a Store
	// that it has opened, after Shutdown.
	Store storage.Store
	// Locker and Cache are shared by the processes that share a Store; nil is for one
	// process.
	Locker storage.Locker
	Cache  storage.Cache
	// Degraded, if set, returns an error while the shared Locker and Cache do not work
	// and the process goes on by itself; /readyz says so.
	Degraded func(ctx context.Context) error

	// StoreName is the name of the Store on the page of AdminHandler; Dir if empty, so set it
	// with Store.
	StoreName string
	// Board, if set, shows on that page what the processes do that share a Store; nil is for
	// one process.
	Board console.Board

	// BasePath is the URL path below which uploads are created and found, "/files/" if
	// empty. It begins and ends with "/".
	BasePath string
	// TrustForwarded has the URLs of uploads, and the addresses of clients, follow
	// Forwarded and X-Forwarded headers, as a proxy in front sets them.
	TrustForwarded bool
	// PublicURL is the URL below which clients reach uploads, such as
	// "https://up.example.com/files/", which ends with "/". Empty takes it from each request.
	PublicURL string
	// GoogleUploads serves the uploads of Google Cloud Storage's JSON API: uploads are
	// created below "/upload/storage/v1/b/" and "/resumable/upload/storage/v1/b/", and found
	// below "/storage/v1/b/" and "/download/storage/v1/b/", which the caller must route to the
	// Server too.
	GoogleUploads bool
	// GraphUploads creates upload sessions for clients of Microsoft Graph, by POST to any path
	// that ends with "/createUploadSession" and that the caller routes to the Server.
	GraphUploads bool
	// UploadPage serves a web page that uploads files, at "_upload/" below BasePath, to everybody:
	// what it may upload is decided by Auth.
	UploadPage bool
	// CORS says which web pages may upload; the zero value allows none.
	CORS protocol.CORS

	// MaxSize is the largest size of an upload in bytes; 0 is no limit.
	MaxSize int64
	// ExpireAfter is how long after its last byte an incomplete upload is kept, 24 h if
	// 0; a negative one keeps it for ever.
	ExpireAfter time.Duration
	// RememberFinished is how long an upload stays complete for its client after its event
	// was delivered, although its file was moved or deleted, 7 days if 0; a negative one
	// forgets it at once.
	RememberFinished time.Duration
	// IdleTimeout is how long a client may send, or take, nothing, 60 s if 0. The
	// duration of a whole request is not limited.
	IdleTimeout time.Duration
	// Spools bounds what bodies take that are buffered until they are complete: those with a
	// checksum, and chunks of unknown length. Nil is a mebibyte of memory for each, and files
	// without a bound.
	Spools *transport.Spools
	// LockTimeout is how long a tus or IETF request, or a PUT of a whole file, waits for an
	// earlier one of the same upload to end, 20 s if 0.
	LockTimeout time.Duration
	// NoInterimResponses sends no 104 (Upload Resumption Supported) to clients of the IETF
	// draft: for a proxy in front that takes an interim response for the final one.
	NoInterimResponses bool
	// SweepInterval is the time between two sweeps, which remove expired uploads and
	// finish what a crash has interrupted; 1 min if 0.
	SweepInterval time.Duration
	// Key returns the key of a finished file in the store: a path below Dir, or below
	// the prefix of a bucket. Nil, or an empty key, is the id of the upload.
	Key func(rec storage.Record) string

	// OnFinish is called for each finished upload until it returns nil: at least once,
	// also after crashes, and by one process at a time as long as the Locker works that
	// they share. The file of the disk store is Dir joined with up.Key, or with up.ID if
	// that is empty. After OnFinish has returned nil the program may move or delete the
	// file. It needs Run, and is not called if Delivery has a Deliverer.
	OnFinish func(ctx context.Context, up Upload) error
	// Delivery has the schedule of OnFinish, or another Deliverer in its place.
	Delivery storage.DeliveryOptions
	// Policy decides what may happen to uploads, after Auth and before Limits.
	Policy storage.Policy
	// Observer receives what happens to uploads.
	Observer storage.Observer

	// Auth says which credentials count; the zero value asks for none. Its URLs and Log
	// are set by New.
	Auth auth.Options
	// Limits bound what each principal may use; the zero value has none. Its URLs, Log
	// and ExpireAfter are set by New.
	Limits limits.Options

	// Log is slog.Default() if nil.
	Log *slog.Logger
	// Metrics, if set, measures each request; protocol is "" for one that matches none.
	Metrics func(protocol string) protocol.RequestMetrics
	// Tracer, if set, begins a trace for each request.
	Tracer trace.Tracer
}

func (o *Options) setDefaults() {
	o.Dir = cmp.Or(o.Dir, "data")
	o.StoreName = cmp.Or(o.StoreName, o.Dir)
	o.BasePath = cmp.Or(o.BasePath, "/files/")
	o.IdleTimeout = cmp.Or(o.IdleTimeout, time.Minute)
	o.LockTimeout = cmp.Or(o.LockTimeout, 20*time.Second)
	o.SweepInterval = cmp.Or(o.SweepInterval, time.Minute)
	o.RememberFinished = max(0, cmp.Or(o.RememberFinished, 7*24*time.Hour))
	o.ExpireAfter = max(0, cmp.Or(o.ExpireAfter, 24*time.Hour))
	if o.Locker == nil {
		o.Locker = &storage.MemoryLocker{}
	}
	if o.Cache == nil {
		o.Cache = &storage.MemoryCache{}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.OnFinish != nil && o.Delivery.Deliverer == nil {
		onFinish := o.OnFinish
		o.Delivery.Deliverer = storage.DelivererFunc(func(ctx context.Context, d storage.Delivery) error {
			return onFinish(ctx, d.Upload)
		})
	}
	urls := protocol.URLs{BasePath: o.BasePath, TrustForwarded: o.TrustForwarded, PublicURL: o.PublicURL}
	o.Auth.URLs, o.Auth.Log = urls, o.Log
	o.Limits.URLs, o.Limits.Log, o.Limits.ExpireAfter = urls, o.Log, o.ExpireAfter
}
