// Command tusd is the peer that holdfast is measured beside: tusd's handler over
// its file store, put together as tusd's own command does.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/tus/tusd/v2/pkg/filelocker"
	"github.com/tus/tusd/v2/pkg/filestore"
	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"
)

func main() {
	data := flag.String("data", "./data", "directory for uploads")
	locker := flag.String("locker", "file", "file, which is what tusd's command uses, or memory")
	flag.Parse()
	if err := serve(*data, *locker); err != nil {
		log.Fatal(err)
	}
}

// serve runs tusd on a free port, which it prints as holdfast does. The values are
// the defaults of tusd's command.
func serve(data, locker string) error {
	if err := os.MkdirAll(data, filestore.DefaultDirPerm); err != nil {
		return err
	}
	composer := handler.NewStoreComposer()
	filestore.New(data).UseIn(composer)
	if locker == "memory" {
		memorylocker.New().UseIn(composer)
	} else {
		filelocker.New(data).UseIn(composer)
	}
	cors := handler.DefaultCorsConfig
	h, err := handler.NewHandler(handler.Config{
		BasePath:                         "/files/",
		StoreComposer:                    composer,
		Cors:                             &cors,
		UploadProgressInterval:           time.Second,
		AcquireLockTimeout:               20 * time.Second,
		GracefulRequestCompletionTimeout: 10 * time.Second,
		NetworkTimeout:                   60 * time.Second,
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/files/", http.StripPrefix("/files/", h))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, `{"msg":"listening","addr":%q}`+"\n", listener.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute, IdleTimeout: time.Minute}
	return server.Serve(listener)
}
