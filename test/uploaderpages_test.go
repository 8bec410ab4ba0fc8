package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// browserJob is an upload of a file by a library in a page. The fields with names in JSON are
// for test/browser/harness.js.
type browserJob struct {
	ID          int      `json:"id"`
	Library     []string `json:"library"` // its scripts, below node_modules
	Starts      string   `json:"starts"`  // the script with functions that start uploads
	Start       string   `json:"start"`   // one of them
	FileName    string   `json:"fileName"`
	Endpoint    string   `json:"endpoint"`
	Protocol    string   `json:"protocol"`
	ReloadAfter int64    `json:"reloadAfter"` // reload the page once so many bytes are stored

	content Content
	recipe  string // a script that is loaded after the library
	result  chan browserResult
}

// browserResult is what became of a job: the URL of the upload, or what the library says of
// its error.
type browserResult struct{ URL, Error string }

// wait returns the result of the job. One that is there counts, however late it is asked for.
func (j *browserJob) wait(ctx context.Context) (browserResult, error) {
	select {
	case result := <-j.result:
		return result, nil
	case <-ctx.Done():
	}
	select {
	case result := <-j.result:
		return result, nil
	default:
		return browserResult{}, errors.New("the page has not reported a result")
	}
}

// startJobs has the jobs run in a page of the browser, each in a frame of its own, until the
// test ends.
func startJobs(t *testing.T, jobs []*browserJob) {
	t.Helper()
	for i, j := range jobs {
		j.ID, j.result = i, make(chan browserResult, 1)
	}
	c, err := chromium()
	if err != nil {
		t.Fatal(err)
	}
	served := httptest.NewServer(pages(jobs))
	t.Cleanup(served.Close)
	if err := c.Do("uploaders", "goto", nil, served.URL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Do("uploaders", "close", nil) })
}

var (
	mainPage = template.Must(template.New("").Parse(`<!doctype html><meta charset=utf-8><title>uploads</title>
{{range .}}<iframe src="/job/{{.ID}}" width=300 height=200></iframe>
{{end}}`))
	jobPage = template.Must(template.New("").Parse(`<!doctype html><meta charset=utf-8><title>{{.FileName}}</title>
<div id=dropzone></div><button id=browse>Browse</button><input id=filepond type=file><input id=fileupload type=file>
<script>const job = {{.}}</script><script src=/uploaders/harness.js></script>`))
)

// pages serves what the page needs, and takes the results.
func pages(jobs []*browserJob) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _ = mainPage.Execute(w, jobs) })
	mux.Handle("GET /uploaders/", http.StripPrefix("/uploaders/", http.FileServer(http.Dir("uploaders"))))
	serve := func(pattern string, handle func(w http.ResponseWriter, r *http.Request, j *browserJob)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			id, err := strconv.Atoi(strings.TrimSuffix(r.PathValue("id"), ".js"))
			if err != nil || id < 0 || id >= len(jobs) {
				http.NotFound(w, r)
				return
			}
			handle(w, r, jobs[id])
		})
	}
	serve("GET /job/{id}", func(w http.ResponseWriter, _ *http.Request, j *browserJob) { _ = jobPage.Execute(w, j) })
	serve("GET /recipe/{id}", func(w http.ResponseWriter, _ *http.Request, j *browserJob) {
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, j.recipe)
	})
	serve("GET /content/{id}", func(w http.ResponseWriter, _ *http.Request, j *browserJob) {
		_, _ = io.Copy(w, j.content.Part(j.content.All()))
	})
	serve("POST /result/{id}", func(_ http.ResponseWriter, r *http.Request, j *browserJob) {
		var result browserResult
		if err := json.NewDecoder(r.Body).Decode(&result); err != nil {
			result.Error = err.Error()
		}
		select {
		case j.result <- result:
		default: // one is enough
		}
	})
	return mux
}
