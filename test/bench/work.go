package main

import (
	"fmt"
	"io"
	"sync"

	"github.com/holdfast-upload/holdfast/test"
)

// work is a number of files to upload.
type work struct {
	name    string
	files   int
	size    int64
	patch   int64   // each file is created and then sent in PATCHes of this size, by tus
	clients int     // each sends one file after the other over one connection
	pace    float64 // bytes per second of each client, 0 for as fast as can be
	parts   int     // if set, each file is sent in so many parts at once, and then concatenated
	ranges  bool    // the parts are not concatenated, but have a Content-Range
	beside  string  // the work of the peer that this one is held against, if it is another
}

var diskWorks = []work{
	{name: "1 GiB in 50 MiB PATCHes", files: 1, size: 1 << 30, patch: 50 << 20, clients: 1},
	{name: "1 GiB in one PATCH", files: 1, size: 1 << 30, patch: 1 << 30, clients: 1},
	{name: "2,000 files of 100 KiB", files: 2000, size: 100 << 10, patch: 100 << 10, clients: 4},
}

func (w work) bytes() int64 { return int64(w.files) * w.size }

// block is what every file consists of, over and over.
var block = test.NewContent(1, 8<<20).Bytes(test.NewContent(1, 8<<20).All())

// send uploads all files and returns their paths.
func (w work) send(addr string) ([]string, error) {
	next := make(chan int, w.files)
	for n := range w.files {
		next <- n
	}
	close(next)
	paths := make([]string, w.files)
	errs := make(chan error, w.clients)
	var clients sync.WaitGroup
	for range w.clients {
		clients.Go(func() { errs <- w.sendSome(addr, next, paths) })
	}
	clients.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return paths, nil
}

func (w work) sendSome(addr string, next <-chan int, paths []string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.pace = w.pace
	for n := range next {
		if paths[n], err = w.sendOne(c, addr, n); err != nil {
			return err
		}
	}
	return nil
}

func (w work) sendOne(c *conn, addr string, n int) (path string, err error) {
	switch {
	case w.ranges:
		return w.sendRanges(addr, n)
	case w.parts > 0:
		return w.sendConcatenated(c, addr)
	}
	if path, err = c.create(uploadLength(w.size)); err != nil {
		return "", err
	}
	for at := int64(0); at < w.size; at += w.patch {
		if err := c.patch(path, at, min(w.patch, w.size-at)); err != nil {
			return "", err
		}
	}
	return path, nil
}

// verify downloads every file and compares it with what was sent.
func (w work) verify(addr string, paths []string) error {
	want, _, err := test.Sum(io.LimitReader(&endless{}, w.size))
	if err != nil {
		return err
	}
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, path := range paths {
		sum, n, err := c.sum(path)
		if err != nil {
			return err
		}
		if sum != want || n != w.size {
			return fmt.Errorf("%s has %d bytes that are not those sent", path, n)
		}
	}
	return nil
}

// endless reads block over and over.
type endless struct{ at int }

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, block[e.at:])
	e.at = (e.at + n) % len(block)
	return n, nil
}
