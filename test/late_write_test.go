package test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/holdfast-upload/holdfast/storage/ranges"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// putSlowly begins a PUT of r, of which the server has all but the last byte when it
// returns. What it returns sends that and reads the answer.
func putSlowly(t *testing.T, s *Server, id string, content Content, r ranges.Range, fields ...string) (end func() Answer) {
	t.Helper()
	w := dial(t, s.Addr)
	w.send(append([]string{"PUT /files/" + id + " HTTP/1.1", "Host: " + s.Addr, "Content-Range: " + ContentRange(r, content.Size),
		fmt.Sprintf("Content-Length: %d", r.Len()), "Expect: 100-continue"}, fields...)...)
	demand(t, w.answer(), http.StatusContinue) // the request is being served
	all := content.Bytes(r)
	w.write(string(all[:len(all)-1]))
	return func() Answer {
		w.write(string(all[len(all)-1:]))
		return w.answer()
	}
}

// objectsOf are the keys in the bucket in which an id occurs.
func objectsOf(t *testing.T, server *servers.Server, id string) (keys []string) {
	t.Helper()
	client := s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL("http")), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(servers.AccessKey, servers.SecretKey, ""),
	})
	page, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("uploads")})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range page.Contents {
		if strings.Contains(*o.Key, id) {
			keys = append(keys, *o.Key)
		}
	}
	return keys
}

func TestF25ALastByteThatComesAfterTheDeletionBringsNothingBack(t *testing.T) {
	t.Parallel()
	s, bucket, _ := startOnS3(t)
	for id, size := range map[string]int64{"one-part": 1_000_000, "several-parts": 20 << 20} {
		content := NewContent(25, size)
		end := putSlowly(t, s, id, content, content.All())
		put(t, newClient(s, id, content), content.All(), http.StatusCreated)
		ask(t, http.MethodDelete, s.URL(id), nil, nil, http.StatusNoContent)
		demand(t, end(), http.StatusGone)
		if left := objectsOf(t, bucket, id); len(left) != 1 || !strings.HasSuffix(left[0], "/gone") {
			t.Errorf("%s: in the bucket there are %v, want the mark of the deletion alone", id, left)
		}
		ask(t, http.MethodGet, s.URL(id), nil, nil, http.StatusGone)
	}
}

func TestF26WhatWasAcknowledgedStaysWhenAnEarlierPutContradictsIt(t *testing.T) {
	t.Parallel()
	s, _, _ := startOnS3(t)
	content, other := NewContent(26, 20<<20), NewContent(27, 20<<20)
	for id, r := range map[string]ranges.Range{
		"fragment": ranges.Of(400_000, 200_000),
		"part":     ranges.Of(0, 16<<20),
		"all":      content.All(),
	} {
		c := newClient(s, id, content)
		put(t, c, ranges.Range{Start: 17 << 20, End: 17<<20 + 1000}, http.StatusAccepted) // creates it
		end := putSlowly(t, s, id, other, ranges.Of(r.Start, min(r.Len(), 10<<20)))
		put(t, c, r, http.StatusAccepted, http.StatusCreated)
		demand(t, end(), http.StatusAccepted, http.StatusCreated, http.StatusConflict)
		put(t, c, content.All(), http.StatusCreated)
		wantFile(t, c.URL, content)
	}
}

func TestF26OfTwoFilesSentToOneURLAtOnceTheSecondIsRefused(t *testing.T) {
	t.Parallel()
	overS3, _, _ := startOnS3(t)
	one, two := NewContent(26, 1_000_000), NewContent(27, 1_000_000)
	for _, s := range []*Server{start(t), overS3} {
		for id, fields := range map[string][2]string{
			"type":   {"Content-Type: video/mp4", "Content-Type: image/png"},
			"name":   {`Content-Disposition: attachment; filename="a"`, `Content-Disposition: attachment; filename="b"`},
			"digest": {contentDigest(one), contentDigest(two)},
		} {
			end := putSlowly(t, s, id, one, one.All(), fields[0])
			second := ask(t, http.MethodPut, s.URL(id), two.Part(two.All()), []string{"Content-Range: " + ContentRange(two.All(), two.Size), fields[1]},
				http.StatusCreated, http.StatusConflict)
			first, stays := end(), one
			if second.Status == http.StatusCreated { // nothing of the first counted before its digest was verified
				first, second, stays = second, first, two
			}
			demand(t, first, http.StatusCreated)
			demand(t, second, http.StatusConflict)
			if !strings.Contains(string(second.Body), "contentConflict") {
				t.Errorf("%s: %s", id, second.Body)
			}
			wantFile(t, s.URL(id), stays)
		}
	}
}

func contentDigest(content Content) string {
	sum := sha256.Sum256(content.Bytes(content.All()))
	return "Content-Digest: sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}
