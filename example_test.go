package holdfast_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/holdfast-upload/holdfast"
)

// A server with the disk store, beside the other handlers of a program.
func ExampleNew() {
	dir, err := os.MkdirTemp("", "uploads")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	finished := make(chan string)
	server, err := holdfast.New(holdfast.Options{Dir: dir, OnFinish: func(ctx context.Context, up holdfast.Upload) error {
		finished <- fmt.Sprint(up.ID, ": ", up.Size, " bytes")
		return nil
	}})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go server.Run(ctx)
	mux := http.NewServeMux()
	mux.Handle("/files/", server)

	upload(mux, "/files/greeting", "hello")
	fmt.Println(<-finished)
	// Output: greeting: 5 bytes
}

// upload sends a file in one request, as curl -T does.
func upload(h http.Handler, path, content string) {
	s := httptest.NewServer(h)
	defer s.Close()
	r, err := http.NewRequest(http.MethodPut, s.URL+path, strings.NewReader(content))
	if err != nil {
		log.Fatal(err)
	}
	resp, err := s.Client().Do(r)
	if err != nil || resp.StatusCode != http.StatusCreated {
		log.Fatal(resp, err)
	}
	resp.Body.Close()
}
