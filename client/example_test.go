package client_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/holdfast-upload/holdfast"
	"github.com/holdfast-upload/holdfast/client"
)

// A file is uploaded to a URL of the program's choice. Should the program crash, the same
// call continues the upload.
func ExampleClient_Upload() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	handler, err := holdfast.New(holdfast.Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()

	c := client.New(client.Options{
		Token: func(context.Context) (string, error) { return os.Getenv("UPLOAD_TOKEN"), nil },
	})
	video := strings.NewReader(strings.Repeat("frame ", 100_000))
	src := client.ReaderAt(video, video.Size())
	src.Name, src.ContentType = "holiday.mp4", "video/mp4"
	var percent int64
	result, err := c.Upload(context.Background(), server.URL+"/files/holiday", src, func(p client.Progress) {
		percent = 100 * p.Stored / p.Size
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(percent, "%")
	fmt.Println(result.Size, "bytes, the same on the server:", result.Verified)
	// Output:
	// 100 %
	// 600000 bytes, the same on the server: true
}
