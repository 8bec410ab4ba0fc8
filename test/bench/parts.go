package main

import (
	"fmt"
	"time"
)

// sendConcatenated sends the parts of a file at once, each as an upload of its own,
// and has the server put them together (tus 1.0, section Concatenation).
func (w work) sendConcatenated(c *conn, addr string) (string, error) {
	paths := make([]string, w.parts)
	err := w.eachPart(addr, func(c *conn, n int, offset, length int64) (err error) {
		if paths[n], err = c.create(uploadLength(length), "Upload-Concat: partial"); err != nil {
			return err
		}
		// Each part begins at a multiple of the block, and so does what it is sent from.
		return c.patch(paths[n], 0, length)
	})
	if err != nil {
		return "", err
	}
	list := ""
	for _, path := range paths {
		list += " " + path
	}
	return c.create("Upload-Concat: final;" + list[1:])
}

// sendRanges sends the parts of a file at once, each with a Content-Range.
func (w work) sendRanges(addr string, n int) (string, error) {
	path := fmt.Sprintf("/files/bench-%d-%d", time.Now().UnixNano(), n)
	return path, w.eachPart(addr, func(c *conn, _ int, offset, length int64) error {
		return c.put(path, offset, length, w.size)
	})
}

// eachPart sends all parts at the same time, each over a connection of its own.
func (w work) eachPart(addr string, send func(c *conn, n int, offset, length int64) error) error {
	errs := make(chan error, w.parts)
	length := w.size / int64(w.parts)
	for n := range w.parts {
		go func() {
			c, err := dial(addr)
			if err == nil {
				err = send(c, n, int64(n)*length, length)
				_ = c.Close()
			}
			errs <- err
		}()
	}
	var first error
	for range w.parts {
		if err := <-errs; first == nil {
			first = err
		}
	}
	return first
}
