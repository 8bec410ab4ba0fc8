package google

import (
	"errors"
	"testing"

	"github.com/holdfast-upload/holdfast/hooks/problem"
)

func TestBoundaryOfABody(t *testing.T) {
	for contentType, want := range map[string]string{
		"multipart/related; boundary=b":                                      "b",
		`multipart/related; boundary="a b"`:                                  "a b",
		"multipart/related; boundary='===============0666841143941692877=='": "===============0666841143941692877==", // gcloud, gsutil
		"multipart/related;boundary='b';type=\"application/json\"":           "b",
		"multipart/related; boundary=it's":                                   "it's",
		"multipart/related":                                                  "",
		"multipart/related; boundary=":                                       "",
		"multipart/related; boundary='":                                      "'",
		"text/plain; boundary=b":                                             "",
		"":                                                                   "",
	} {
		got, err := boundaryOf(contentType)
		if got != want || (want == "") != errors.Is(err, problem.ErrMediaType) {
			t.Errorf("%s: %q, %v, want %q", contentType, got, err, want)
		}
	}
}
