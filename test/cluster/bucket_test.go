package cluster

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/holdfast-upload/holdfast/test/servers"
)

// inBucket is all that the S3 server has: the keys of objects, and those of
// unfinished multipart uploads with their ids after "multipart ".
func (c *cluster) inBucket() []string {
	c.t.Helper()
	client := s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(c.s3.URL("http")), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(servers.AccessKey, servers.SecretKey, ""),
	})
	var found []string
	objects := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	for objects.HasMorePages() {
		page, err := objects.NextPage(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		for _, o := range page.Contents {
			found = append(found, *o.Key)
		}
	}
	page, err := client.ListMultipartUploads(c.t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String(bucket)})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, m := range page.Uploads {
		found = append(found, "multipart "+*m.Key+" "+*m.UploadId)
	}
	return found
}

// onlyFilesWithin is how long it may take until nothing else is in the bucket: the node
// that sweeps may have been killed with the lock in its hand, and a node removes what
// another has made needless by a finish only after most of a minute.
const onlyFilesWithin = lockTTL + time.Minute

// wantOnlyFiles demands that soon the bucket holds the files of these uploads and
// nothing else but marks of deleted ones, and of those that were delivered to the app.
func (c *cluster) wantOnlyFiles(uploads ...*upload) {
	c.t.Helper()
	for deadline := time.Now().Add(onlyFilesWithin); ; time.Sleep(200 * time.Millisecond) {
		missing := map[string]bool{}
		for _, u := range uploads {
			missing[u.id()] = true
		}
		var surplus []string
		for _, key := range c.inBucket() {
			switch {
			case missing[key]:
				delete(missing, key)
			case strings.HasPrefix(key, ".holdfast/nodes/"):
			case !strings.HasSuffix(key, "/gone") && !strings.HasPrefix(key, ".holdfast/done/"):
				surplus = append(surplus, key)
			}
		}
		if len(missing) == 0 && len(surplus) == 0 {
			return
		}
		if time.Now().After(deadline) && len(surplus) == 0 {
			c.t.Errorf("the bucket lacks %v", missing)
			return
		}
		if time.Now().After(deadline) {
			c.t.Errorf("after %v the bucket lacks %v and still has %v", onlyFilesWithin, missing, surplus)
			key, _, _ := strings.Cut(strings.TrimPrefix(surplus[0], "multipart "), " ")
			c.t.Log(c.faults.history(idOf(key)))
			return
		}
	}
}

func TestBucketListingSeesWhatIsLeftBehind(t *testing.T) {
	t.Parallel()
	c := start(t)
	u := newUpload(c, tusClient, test40MiB, 20*mib)
	if err := u.create(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := u.patchTo(t.Context(), 20*mib); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(c.inBucket(), "\n")
	for _, want := range []string{"live/" + u.id() + "/record", "live/" + u.id() + "/layout", "multipart " + u.id()} {
		if !strings.Contains(all, want) {
			t.Errorf("the listing lacks %s:\n%s", want, all)
		}
	}
}
