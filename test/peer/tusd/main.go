// Command tusd is the peer that holdfast is measured beside: tusd's handler over
// its file store or its S3 store, put together as tusd's own command does.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/tus/tusd/v2/pkg/filelocker"
	"github.com/tus/tusd/v2/pkg/filestore"
	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"
	"github.com/tus/tusd/v2/pkg/s3store"
)

func main() {
	data := flag.String("data", "./data", "directory for uploads")
	locker := flag.String("locker", "file", "file, which is what tusd's command uses, or memory")
	bucket := flag.String("s3-bucket", "", "bucket for uploads, in place of the directory")
	endpoint := flag.String("s3-endpoint", "", "URL of the S3 server")
	flag.Parse()
	composer := handler.NewStoreComposer()
	var err error
	if *bucket != "" {
		err = useS3(composer, *bucket, *endpoint)
	} else {
		err = useFiles(composer, *data, *locker)
	}
	if err == nil {
		err = serve(composer)
	}
	log.Fatal(err)
}

func useFiles(composer *handler.StoreComposer, data, locker string) error {
	if err := os.MkdirAll(data, filestore.DefaultDirPerm); err != nil {
		return err
	}
	filestore.New(data).UseIn(composer)
	if locker == "memory" {
		memorylocker.New().UseIn(composer)
	} else {
		filelocker.New(data).UseIn(composer)
	}
	return nil
}

// useS3 leaves the store as s3store.New makes it: its defaults are those of the
// flags of tusd's command.
func useS3(composer *handler.StoreComposer, bucket, endpoint string) error {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		return err
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.BaseEndpoint = &endpoint
		o.UsePathStyle = true
	})
	s3store.New(bucket, client).UseIn(composer)
	memorylocker.New().UseIn(composer)
	return nil
}

// newHandler returns tusd's handler. The values are the defaults of tusd's command.
func newHandler(composer *handler.StoreComposer) (http.Handler, error) {
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
	mux := http.NewServeMux()
	mux.Handle("/files/", http.StripPrefix("/files/", h))
	return mux, err
}

// serve runs tusd on a free port, which it prints as holdfast does.
func serve(composer *handler.StoreComposer) error {
	h, err := newHandler(composer)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, `{"msg":"listening","addr":%q}`+"\n", listener.Addr())
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, IdleTimeout: time.Minute}
	return server.Serve(listener)
}
