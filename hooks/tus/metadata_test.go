package tus

import (
	"errors"
	"testing"

	"github.com/holdfast-upload/holdfast/storage"
)

func TestMetadataHeaderSyntax(t *testing.T) {
	for value, ok := range map[string]bool{
		"": true, " ": true, "filename dmlkZW8ubXA0": true, "filename dmlkZW8ubXA0,type dmlkZW8=, empty": true, "flag": true,
		"filename ***": false, "filename dmlkZW8ubXA0,filename dmlkZW8ubXA0": false, "a YQ==,,b Yg==": false, ",": false, "a b c": false,
	} {
		if err := checkMetadata([]string{value}); (err == nil) != ok {
			t.Errorf("%q: %v", value, err)
		}
	}
	if err := checkMetadata([]string{"a YQ==", "b Yg=="}); !errors.Is(err, storage.ErrBadRequest) {
		t.Errorf("two headers: %v", err)
	}
}
