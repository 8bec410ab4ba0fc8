package client

import (
	"context"
	"net/http"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// Status is the state of an upload as the server has it.
type Status struct {
	Size     int64          // in bytes, -1 while it is unknown
	Received []ranges.Range // in ascending order; from a tus server at most one, from 0 on
	Stored   int64          // bytes in Received
	Complete bool
	Expires  time.Time // when an incomplete upload is removed; zero if it is not, or if that is unknown
	CRC32C   string    // of the complete file, big-endian in base64; "" if the server does not state it
}

// Status asks for the state of the upload at a URL.
//
// Errors: StatusError, ErrGaveUp, ErrProtocol, and the cause of ctx.
func (c *Client) Status(ctx context.Context, target string) (Status, error) {
	u, err := parseURL(target)
	if err != nil {
		return Status{}, err
	}
	h, r := host{c, u.Host}, newRetry(c.opts.GiveUpAfter)
	var found remote
	err = r.do(ctx, ignoreFailure, func() error {
		server, err := h.discover(ctx, u)
		if err == nil {
			found, err = h.state(ctx, server, u)
		}
		return err
	})
	if err != nil {
		return Status{}, err
	}
	status := Status{Size: found.size, Received: found.received.Ranges(), Stored: found.received.Bytes(), Complete: found.complete, Expires: found.expires}
	if found.crc != nil {
		status.CRC32C = found.crc.String()
	}
	return status, nil
}

func ignoreFailure(error, time.Duration) {}

// Delete deletes the upload at a URL, complete or not.
//
// Errors: as for Status.
func (c *Client) Delete(ctx context.Context, target string) error {
	u, err := parseURL(target)
	if err != nil {
		return err
	}
	h, r := host{c, u.Host}, newRetry(c.opts.GiveUpAfter)
	return r.do(ctx, ignoreFailure, func() error {
		server, err := h.discover(ctx, u)
		if err != nil {
			return err
		}
		var header http.Header
		if !server.contentRange {
			header = tusHeader()
		}
		_, err = h.send(ctx, request{method: http.MethodDelete, url: u, header: header})
		return err
	})
}
