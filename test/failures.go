package test

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// failures are the ways in which upload servers lose data, and what must happen in place of it.
// The tests of a row have its number in their names.
var failures = []struct{ condition, must string }{
	{"one UploadPart to S3 fails for good while later parts succeed", "503 once; the client resumes and finishes"},
	{"kill -9 while a later part is stored and an earlier one is not", "the same, on another node too"},
	{"a crash while the unaligned end of a chunk is merged into its part", "the offset never goes back"},
	{"the multipart upload has vanished, or another object is where the file should be", "complete only if the file is there with the right size, else 410"},
	{"CompleteMultipartUpload fails, or its answer is lost", "any retry, HEAD or sweep finishes the upload; the app gets one event id"},
	{"the app is down for an hour, or the node is killed right after a finish", "delivered when it is back, under the same id"},
	{"unknown size, with a last part shorter than 5 MiB", "every byte is in the file"},
	{"a lock lapses and its old holder writes after the new one", "every byte is where it belongs"},
	{"a client is interrupted thousands of times", "at most 10,000 parts; fragments are coalesced"},
	{"the store fails for a moment during a HEAD", "423 with Retry-After for tus, 503 for others, never 404"},
	{"the state is polled while an upload runs", "nothing is interrupted; a client's own resume ends its dead predecessor"},
	{"two creations with the same id", "409 for the second; the first is intact"},
	{"an empty file", "an empty object, one event"},
	{"the same chunk twice at once; the final chunk again after its answer was lost", "the same answer as the first time"},
	{"more or fewer bytes than the declared range", "400 or 503; nothing outside the range is written"},
	{"abandoned uploads", "they expire with everything that belongs to them"},
	{"a shutdown during an upload", "what has arrived is stored; exit within the shutdown timeout"},
	{"a crash between two steps of a creation", "the sweep finds and removes what is left"},
	{"a listing that is not a snapshot: made of two moments", "no acknowledged byte is missing, nothing live is removed"},
	{"a tus client whose connection broke resumes at once", "its PATCH is accepted, and the overlap skipped"},
	{"the same PUT of a whole file again", "it continues, or gets the same answer"},
	{"the state of an upload that has finished meanwhile", "in JSON on request, also for a ticket without download"},
	{"the app moves the file after it has acknowledged post-finish", "the upload stays complete for days"},
	{"a new lock holder although none waits", "it is not asked to release the lock; being superseded is not an error"},
	{"a deletion beside a write or a finish", "nothing comes back"},
	{"a contradicting PUT of a range that began earlier", "acknowledged bytes stay; two different files for one URL are refused where that is noticed"},
	{"metadata that is not UTF-8", "the bytes as they were sent"},
	{"a PATCH with a checksum that the server cuts off", "answered like one without"},
	{"forms, and requests of another protocol, by PUT", "415 or 400, never stored as the file"},
	{"a wrong digest of a chunk", "400 before anything counts"},
	{"one-byte chunks at thousands of places", "the work for a chunk does not grow with their number, on disk and on S3"},
	{"metadata of hundreds of KiB in hundreds of uploads", "431 beyond 64 KiB, in every protocol"},
	{"metadata of 64 KiB through nginx", "passes"},
	{"a cache in front turns HEAD into GET", "GET has the headers of HEAD"},
	{"the reader of the log goes away", "lines are lost, the server stays"},
	{"the data directory vanishes", "423 or 503, never 404"},
	{"an S3 server that lacks conditional writes, checksums or DeleteObjects", "a way round, said once in the log; or the start fails with the cause"},
	{"a multipart upload aborted by a lifecycle rule", "named in the log as what it is; a sweep reports no error"},
}

var failureTest = regexp.MustCompile(`(?m)^func (TestF(\d\d)\w*)\(`)

// inTests returns the matches of a pattern, with its groups, in the test files below root.
func inTests(root string, pattern *regexp.Regexp) (found [][]string, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		found = append(found, pattern.FindAllStringSubmatch(string(text), -1)...)
		return err
	})
	return found, err
}

// writeFailures writes the list of failures with the tests that show each, by scanning
// the module below root for tests with their numbers.
func writeFailures(w io.Writer, root string) error {
	found, err := inTests(root, failureTest)
	if err != nil {
		return err
	}
	tests := map[string][]string{}
	for _, f := range found {
		tests[f[2]] = append(tests[f[2]], "`"+f[1]+"`")
	}
	var b strings.Builder
	b.WriteString(failuresIntro)
	for i, f := range failures {
		number := fmt.Sprintf("%02d", i+1)
		slices.Sort(tests[number])
		shown, must := strings.Join(slices.Compact(tests[number]), "<br>"), f.must
		if shown == "" {
			shown, must = "not tested", "not built"
		}
		fmt.Fprintf(&b, "| F%d | %s | %s | %s |\n", i+1, f.condition, must, shown)
	}
	_, err = io.WriteString(w, b.String())
	return err
}

const failuresIntro = `# Failures

This page is generated from the code. It lists conditions under which upload servers lose
data or punish their clients, most of them reproduced in well-known ones, what holdfast must
do in their place, and the tests that show it.

| | condition | holdfast | shown by |
|---|---|---|---|
`
