// Package client uploads files to holdfast, and to any tus 1.0 server.
//
//	c := client.New(client.Options{})
//	src, err := client.File("video.mp4")
//	if err != nil {
//		log.Fatal(err)
//	}
//	defer src.Close()
//	result, err := c.Upload(ctx, "https://up.example.com/files/", src, nil)
//
// When Upload returns nil, the server has the file: all of its bytes are acknowledged, and
// where the server states a checksum of the whole file, as holdfast does, it is that of the
// bytes that were read here (Result.Verified).
//
// # Protocols
//
// The server is asked by OPTIONS what it takes. To holdfast, chunks are sent by PUT with
// Content-Range, several at once and in any order, each with a Content-Digest. To other
// servers they are sent by PATCH of the tus protocol, one after the other, with an
// Upload-Checksum if the server has that extension. The length of chunks and their number
// at once follow the line: they grow while that raises throughput, and shrink on failures.
// Several uploads of one Client share both.
//
// # Failures
//
// A request that fails for a reason that may pass (a broken connection, a digest that does
// not match, a response of 408, 423, 425, 429, 460, or of 5xx but 501 and 505) is repeated with
// exponential backoff and jitter, not before the Retry-After of the server, as long as bytes get
// through at all; see Options.GiveUpAfter. Other responses end the upload with a StatusError.
//
// Upload may be called again for the same file and URL at any time, also by another process
// after a crash, and continues with what the server lacks. For uploads that are created at a
// collection (a URL that ends with "/") this takes an Options.URLs, which remembers their
// URLs; the URL of a single upload suffices by itself.
package client
