package contentrange

import (
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
)

// What libraries send by default is recognized, and nothing else is. With the settings of the
// recipes they send other requests, some with the same parameters.
func TestRequestsOfLibrariesThatAreNotConfiguredAreRecognized(t *testing.T) {
	const (
		form   = "Content-Type: multipart/form-data; boundary=x"
		ranged = "Content-Range: bytes 0-4/10"
		tus    = "Tus-Resumable: 1.0.0"
		flow   = "?flowChunkNumber=1&flowTotalChunks=3"
	)
	for _, c := range []struct {
		request string
		fields  []string // of the header
		form    []string // the names of its first fields
		want    string
	}{
		{"POST /files/", []string{form}, []string{"dzuuid", "dzchunkindex", "dztotalchunkcount", "file"}, "Dropzone"},
		{"POST /files/", []string{form}, []string{"flowChunkNumber", "flowIdentifier", "flowTotalChunks"}, "Flow.js"},
		{"POST /files/it", []string{form}, []string{"resumableChunkNumber", "resumableIdentifier", "resumableTotalChunks"}, "Resumable.js"},
		{"POST /files/it", []string{form}, []string{"chunkNumber", "identifier", "totalChunks"}, "simple-uploader.js"},
		{"POST /files/", []string{form}, []string{"name", "chunk", "chunks", "file"}, "Plupload"},
		{"POST /files/", []string{form}, []string{"qqpartindex", "qqtotalparts", "qquuid", "qqfile"}, "Fine Uploader"},
		{"POST /files/", []string{form}, []string{"qquuid", "qqfilename", "qqfile"}, "Fine Uploader"},
		{"POST /files/", []string{form, "Upload-Length: 10"}, []string{"filepond"}, "FilePond"},
		{"POST /files/", []string{form, ranged}, []string{"files[]"}, "blueimp jQuery File Upload"},
		{"PUT /files/it", []string{form, ranged}, nil, "blueimp jQuery File Upload"},
		{"POST /files/", []string{form}, []string{"files[]"}, ""},
		{"POST /files/?qqpartindex=0&qqtotalparts=2", []string{form}, []string{"qqfile"}, "Fine Uploader"},
		{"POST /files/", []string{form}, []string{"file"}, ""},
		{"POST /files/", []string{form}, []string{"name", "chunk"}, ""},
		{"POST /files/", []string{form}, nil, ""},
		{"PATCH /files/?patch=it", []string{"Upload-Name: a", "Upload-Offset: 0", "Upload-Length: 10"}, nil, "FilePond"},
		{"PATCH /files/it", []string{"Upload-Name: a", ranged}, nil, ""},
		{"PATCH /files/it", []string{"Upload-Name: a", "Upload-Offset: 0", tus}, nil, ""},
		{"GET /files/it" + flow, nil, nil, "Flow.js"},
		{"GET /files/it?flowChunkNumber=1&flowTotalChunks=1", nil, nil, "Flow.js"},
		{"POST /files/it" + flow, nil, nil, "Flow.js"},
		{"PUT /files/it" + flow, nil, nil, "Flow.js"},
		{"PUT /files/it?chunkNumber=1&totalChunks=3", nil, nil, "simple-uploader.js"},
		{"PUT /files/it?name=a&chunk=0&chunks=3", nil, nil, "Plupload"},
		{"POST /files/it?name=a&chunk=0&chunks=1", nil, nil, "Plupload"},
		{"PUT /files/it?name=a&chunk=0&chunks=1", nil, nil, ""}, // it is the whole file
		{"PUT /files/it?name=a", nil, nil, ""},
		{"PUT /files/it?chunk=0", nil, nil, ""},
		{"PUT /files/it" + flow, []string{ranged}, nil, ""},
		{"GET /files/it" + flow, []string{ranged}, nil, ""},
		{"HEAD /files/it" + flow, nil, nil, ""},
		{"DELETE /files/it" + flow, nil, nil, ""},
		{"PATCH /files/it" + flow, []string{tus}, nil, ""},
		{"POST /files/", []string{form, tus}, []string{"files[]"}, ""},
		{"GET /files/it", []string{form}, []string{"files[]"}, ""},
		{"PUT /files/it", nil, nil, ""},
		{"POST /files/", nil, nil, ""},
		{"GET /files/it", nil, nil, ""},
	} {
		method, target, _ := strings.Cut(c.request, " ")
		r := httptest.NewRequest(method, target, nil)
		for _, field := range c.fields {
			name, value, _ := strings.Cut(field, ": ")
			r.Header.Set(name, value)
		}
		if got := recipeFor(r, c.form); got != c.want {
			t.Errorf("%s %q %q: %q, want %q", c.request, c.fields, c.form, got, c.want)
		}
	}
}

// The names are read from the beginning of a form, however it goes on.
func TestTheFieldsWithWhichAFormBeginsAreRead(t *testing.T) {
	field := func(name, value string) string {
		return "--x\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	begins := field("name", "video.mp4") + field("chunk", "0")
	for body, want := range map[string][]string{
		begins + field("file", strings.Repeat("content", 10_000)) + "--x--\r\n": {"name", "chunk", "file"},
		begins + "--x\r\nContent-Disp":                                          {"name", "chunk"},
		field("file", strings.Repeat("content", 10_000)) + begins + "--x--":     {"file"},
		"--y\r\n": nil,
		"":        nil,
	} {
		r := httptest.NewRequest("POST", "/files/", nil)
		r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		if got := formFields(r, strings.NewReader(body)); !slices.Equal(got, want) {
			t.Errorf("%.200q: %q, want %q", body, got, want)
		}
		r.Header.Set("Expect", "100-continue")
		if got := formFields(r, strings.NewReader(body)); got != nil {
			t.Errorf("%q were read from a client that waits", got)
		}
	}
}

// Each message names a section that is there.
func TestEveryRecipeIsASectionOfTheDocument(t *testing.T) {
	text, err := os.ReadFile("../../" + recipes)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range libraries {
		if !strings.Contains(string(text), "\n## "+l.library+"\n") {
			t.Errorf("%s has no section %q", recipes, l.library)
		}
	}
}
