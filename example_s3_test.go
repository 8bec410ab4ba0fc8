package holdfast_test

import (
	"context"
	"log"
	"net/http"
	"os"
	"testing"

	"github.com/holdfast-upload/holdfast"
	"github.com/holdfast-upload/holdfast/storage/s3"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// A server that keeps uploads in a bucket. Credentials are found as by all AWS tools.
func ExampleNew_s3() {
	store, err := s3.Open(context.Background(), s3.Options{
		Bucket: "uploads", Endpoint: os.Getenv("S3_ENDPOINT"), PathStyle: true, CreateBucket: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	server, err := holdfast.New(holdfast.Options{Store: store})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go server.Run(ctx)
	mux := http.NewServeMux()
	mux.Handle("/files/", server)

	upload(mux, "/files/greeting", "hello")
}

func TestTheS3ExampleWorks(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", servers.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", servers.SecretKey)
	t.Setenv("S3_ENDPOINT", servers.S3(t).URL("http"))
	ExampleNew_s3()
}
