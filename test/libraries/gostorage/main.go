// Command gostorage uploads files with Google's library for Go, as the JSON list of jobs in
// the first argument says, all at once; see libraryJob in test. It prints a line of JSON for
// each. It is a module of its own, so that the server's does not require the library.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/option"
)

type job struct {
	Case, Endpoint, Bucket, Name, File, Kind string
	Chunk                                    int
}

type result struct {
	Case       string `json:"case"`
	Error      string `json:"error,omitempty"`
	Size       int64  `json:"size"`
	Downloaded int64  `json:"downloaded"`
}

func main() {
	var jobs []job
	if err := json.Unmarshal([]byte(os.Args[1]), &jobs); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var mu sync.Mutex
	var running sync.WaitGroup
	for _, j := range jobs {
		running.Go(func() {
			r := result{Case: j.Case}
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			if err := j.upload(ctx, &r); err != nil {
				r.Error = err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			_ = json.NewEncoder(os.Stdout).Encode(r)
		})
	}
	running.Wait()
}

func (j job) upload(ctx context.Context, r *result) error {
	client, err := storage.NewClient(ctx, option.WithEndpoint(j.Endpoint+"/storage/v1/"), option.WithoutAuthentication(), storage.WithJSONReads())
	if err != nil {
		return err
	}
	defer client.Close()
	file, err := os.Open(j.File)
	if err != nil {
		return err
	}
	defer file.Close()
	object := client.Bucket(j.Bucket).Object(j.Name).Retryer(storage.WithPolicy(storage.RetryAlways))
	w := object.NewWriter(ctx)
	w.ContentType, w.Metadata = "video/mp4", map[string]string{"owner": "phone 7"}
	switch {
	case j.Kind == "simple":
		w.ChunkSize = 0
	case j.Chunk > 0:
		w.ChunkSize = j.Chunk
	}
	if _, err := io.Copy(w, file); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	attrs, err := object.Attrs(ctx)
	if err != nil {
		return fmt.Errorf("attributes: %w", err)
	}
	r.Size = attrs.Size
	reader, err := object.NewReader(ctx)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	defer reader.Close()
	r.Downloaded, err = io.Copy(io.Discard, reader)
	return err
}
