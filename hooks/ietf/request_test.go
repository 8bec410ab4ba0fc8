package ietf

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/hooks/problem"
	"github.com/holdfast-upload/holdfast/storage"
)

func TestFieldsAreItems(t *testing.T) {
	for value, want := range map[string]int64{
		"0": 0, "007": 7, "999999999999999": 999999999999999, "5;a": 5, `5;a="x"; b=?1`: 5, " 5 ": 5,
		"": -1, "-0": -1, "+5": -1, "5.0": -1, "1000000000000000": -1, "5, 5": -1, "5 5": -1, "a": -1, `"5"`: -1, "5;": -1, "5;A": -1, "5;a, 5": -1,
	} {
		n, ok := integer([]string{value})
		if got := map[bool]int64{true: n, false: -1}[ok]; got != want {
			t.Errorf("integer %q: %d, want %d", value, got, want)
		}
	}
	for value, want := range map[string]string{
		"?1": "true", "?0": "false", "?1;a=b": "true", "1": "", "true": "", "?2": "", "?": "", "": "", "?1, ?0": "", "?01": "",
	} {
		is, ok := parseBoolean([]string{value})
		if got := map[bool]string{true: strconv.FormatBool(is)}[ok]; got != want {
			t.Errorf("boolean %q: %q, want %q", value, got, want)
		}
	}
	if _, ok := integer([]string{"5", "5"}); ok {
		t.Error("two fields are one item")
	}
}

// Neither the version nor the order of the fields changes what a request is.
func TestRequestsAreTheSameInAllVersions(t *testing.T) {
	for version := 2; version <= 11; version++ {
		for complete, value := range map[bool]string{true: "?1", false: "?0"} {
			field := uploadComplete
			if version == 3 {
				field, value = uploadIncomplete, boolean(!complete)
			}
			r := httptest.NewRequest(http.MethodPatch, "/files/it", strings.NewReader("hello"))
			for name, v := range map[string]string{interopVersion: strconv.Itoa(version), field: value, uploadOffset: "7", "Content-Type": partialUpload} {
				r.Header.Set(name, v)
			}
			q, err := parse(r, "it")
			if err != nil || q.complete != complete || q.offset != 7 || q.end() != 12 || !q.resumable {
				t.Errorf("version %d, complete %v: %+v, %v", version, complete, q, err)
			}
			if known := 3 <= version && version <= 10; (q.interop != 0) != known || known && q.interop != version {
				t.Errorf("version %d: %+v", version, q.rules)
			}
			if size := q.size(); complete && size != 12 || !complete && size != storage.Unknown {
				t.Errorf("version %d, complete %v: size %d", version, complete, size)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("POST", "6", "?1", "", "0", "5", "", int64(5))
	f.Add("PATCH", "8", "?0", "", "9999999999", "", "application/partial-upload", int64(1<<63-1))
	f.Add("HEAD", "3", "", "?1", "1;a", "x", "", int64(0))
	f.Fuzz(func(t *testing.T, method, version, complete, incomplete, offset, length, typ string, content int64) {
		if !slices.Contains([]string{"POST", "PUT", "PATCH", "HEAD", "GET", "DELETE"}, method) || content < -1 {
			return
		}
		r := httptest.NewRequest(method, "/files/it", nil)
		r.ContentLength = content
		for name, value := range map[string]string{interopVersion: version, uploadComplete: complete, uploadIncomplete: incomplete,
			uploadOffset: offset, uploadLength: length, "Content-Type": typ} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		q, err := parse(r, "it")
		if err != nil {
			if !errors.Is(err, storage.ErrBadRequest) && !errors.Is(err, storage.ErrSizeMismatch) && !errors.Is(err, problem.ErrMediaType) {
				t.Errorf("unknown error %v", err)
			}
			return
		}
		sends := method == "POST" || method == "PUT" || method == "PATCH"
		if sends && (q.offset < 0 || q.end() != storage.Unknown && q.end() < q.offset || q.size() < storage.Unknown) {
			t.Errorf("%+v ends at %d, size %d", q, q.end(), q.size())
		}
		if q.complete && q.end() != storage.Unknown && sends && q.size() != q.end() {
			t.Errorf("%+v: size %d, end %d", q, q.size(), q.end())
		}
	})
}
