package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// installPhones installs the parsers with the versions of their lock file, once.
var installPhones = sync.OnceValue(func() error { return installNode("phones") })

// codeRequest is a request that the code in a page makes. Values have placeholders for
// variables, as the language writes them.
type codeRequest struct {
	Method  string
	Headers map[string]string
}

// requestsIn parses the code of a language in a page, block by block, and returns its
// requests by the names of the functions that make them.
func requestsIn(t *testing.T, page, language string) map[string]codeRequest {
	t.Helper()
	if err := installPhones(); err != nil {
		t.Fatalf("install the parsers: %v", err)
	}
	text, err := os.ReadFile("../docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, block := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllSubmatch(text, -1) {
		blocks = append(blocks, string(block[1]))
	}
	all := map[string]codeRequest{}
	for i, got := range parseCode(t, language, blocks) {
		if len(got.Errors) > 0 {
			t.Errorf("%s, block %d of %s: %s", page, i+1, language, strings.Join(got.Errors, "; "))
		}
		for name, request := range got.Requests {
			all[name] = request
		}
	}
	return all
}

// parsedCode is the output of phones/requests.js.
type parsedCode struct {
	Errors   []string
	Requests map[string]codeRequest
}

func parseCode(t *testing.T, language string, blocks []string) []parsedCode {
	t.Helper()
	in, err := json.Marshal(append([]string{}, blocks...))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "requests.js", language)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stdin, cmd.Stderr = "phones", bytes.NewReader(in), &stderr
	out, err := cmd.Output()
	var got []parsedCode
	if err == nil {
		err = json.Unmarshal(out, &got)
	}
	if err != nil || len(got) != len(blocks) {
		t.Fatalf("parse %d blocks of %s: %v\n%s%s", len(blocks), language, err, out, stderr.Bytes())
	}
	return got
}

// fields are the header fields of the request, with values for its placeholders, such as
// "\(size)" or "$size". None may be left.
func (r codeRequest) fields(t *testing.T, values ...string) []string {
	t.Helper()
	replace := strings.NewReplacer(values...)
	var fields []string
	for name, value := range r.Headers {
		value = replace.Replace(value)
		if strings.ContainsAny(value, `\${`) {
			t.Errorf("%s: %s has a placeholder without a value", name, value)
		}
		fields = append(fields, name+": "+value)
	}
	slices.Sort(fields)
	return fields
}

// The parsers find what is wrong, or the tests below would show nothing.
func TestSyntaxErrorsInPagesAreFound(t *testing.T) {
	t.Parallel()
	if err := installPhones(); err != nil {
		t.Fatal(err)
	}
	for language, wrong := range map[string][]string{
		"swift":  {"func a() { let b = }", "class C {", "let x: [Int = 1", "guard else { }"},
		"kotlin": {"fun a() { val b = }", "class C {", "val x: List<Int = 1", "fun (a: Int) }"},
	} {
		for i, got := range parseCode(t, language, wrong) {
			if len(got.Errors) == 0 {
				t.Errorf("%s: no error in %q", language, wrong[i])
			}
		}
	}
}

// All Swift and Kotlin in the documents is Swift and Kotlin.
func TestCodeForPhonesInDocumentsIsParsed(t *testing.T) {
	t.Parallel()
	if err := installPhones(); err != nil {
		t.Fatal(err)
	}
	for _, language := range []string{"swift", "kotlin"} {
		blocks := readmeBlocks(t, language)
		for i, got := range parseCode(t, language, blocks) {
			if len(got.Errors) > 0 {
				t.Errorf("%s: %v in\n%s", language, got.Errors, blocks[i])
			}
		}
	}
}

// iosHeaders are what URLSession adds to upload tasks, by its version of the draft.
var iosHeaders = map[string][]string{
	"iOS 16": nil,
	"iOS 17": {"Upload-Draft-Interop-Version: 3", "Upload-Incomplete: ?0"},
	"iOS 18": {"Upload-Draft-Interop-Version: 5", "Upload-Complete: ?1"},
	"iOS 26": {"Upload-Draft-Interop-Version: 6", "Upload-Complete: ?1", "Upload-Length: 1000"},
}

// iosPage is the client of docs/ios.md: its requests against a server.
type iosPage struct {
	*testing.T
	s        *Server
	requests map[string]codeRequest
	content  Content
	upload   string // its URL
	added    []string
}

func (p *iosPage) send(name string, want int, body []byte, values ...string) Answer {
	p.Helper()
	r, ok := p.requests[name]
	if !ok {
		p.Fatalf("the page has no request %q", name)
	}
	url, fields := p.upload, r.fields(p.T, values...)
	if name == "create" {
		url = p.s.URL("")
	}
	if name == "chunk" || name == "wholeFile" {
		fields = append(fields, p.added...)
	}
	return ask(p.T, r.Method, url, bytes.NewReader(body), fields, want)
}

func (p *iosPage) create() {
	p.Helper()
	created := p.send("create", 201, nil, `\(token)`, Token("anna"), `\(size)`, "1000", `\(filename)`, base64Of("trip.mp4"))
	p.upload = created.Header.Get("Location")
}

func (p *iosPage) chunk(r ranges.Range, want int) Answer {
	p.Helper()
	body := p.content.Bytes(r)
	return p.send("chunk", want, body, `\(first)`, strconv.FormatInt(r.Start, 10), `\(last)`, strconv.FormatInt(r.End-1, 10), `\(size)`, "1000", `\(digest)`, strings.Trim(strings.TrimPrefix(sha256Of(string(body)), "sha-256="), ":"))
}

// wantMissing asks for the state, as the page does after a launch.
func (p *iosPage) wantMissing(want ...string) {
	p.Helper()
	var state struct{ Received, Missing []string }
	answer := p.send("state", 200, nil)
	if err := json.Unmarshal(answer.Body, &state); err != nil || state.Received == nil || !slices.Equal(state.Missing, want) {
		p.Errorf("%v: missing %q, want %q: %s", err, state.Missing, want, answer.Body)
	}
}

// Each request of docs/ios.md does what the page says of it.
func TestIOSPageUploadsAFile(t *testing.T) {
	t.Parallel()
	s := guarded(t, "--ticket-ttl", "168h")
	requests := requestsIn(t, "ios.md", "swift")
	for version, added := range iosHeaders {
		t.Run(version, func(t *testing.T) {
			p := &iosPage{T: t, s: s, requests: requests, content: small, added: added}
			p.create()
			p.wantMissing("0-999")
			p.chunk(ranges.Range{Start: 900, End: 1000}, 202)
			p.chunk(ranges.Range{Start: 300, End: 600}, 202)
			p.chunk(ranges.Range{Start: 300, End: 600}, 202) // the system sent it twice
			p.wantMissing("0-299", "600-899")
			p.chunk(ranges.Range{Start: 600, End: 900}, 202)
			p.chunk(ranges.Range{Start: 0, End: 300}, 201)
			p.chunk(ranges.Range{Start: 300, End: 600}, 201)
			p.wantMissing()
			got := ask(t, "GET", p.upload, nil, []string{Bearer(Token("anna"))}, 200)
			if !bytes.Equal(got.Body, small.Bytes(small.All())) {
				t.Error("another file")
			}
			p.send("delete", 204, nil, `\(token)`, Token("anna"))
			p.chunk(ranges.Range{Start: 0, End: 300}, 410)
		})
	}
	for name := range requests {
		if !slices.Contains([]string{"create", "chunk", "state", "wholeFile", "delete"}, name) {
			t.Errorf("no test sends %s", name)
		}
	}
}

// A whole file is one task, and may be mixed with chunks.
func TestIOSPageSendsAWholeFile(t *testing.T) {
	t.Parallel()
	s := guarded(t, "--ticket-ttl", "168h")
	requests := requestsIn(t, "ios.md", "swift")
	for version, added := range iosHeaders {
		t.Run(version, func(t *testing.T) {
			p := &iosPage{T: t, s: s, requests: requests, content: small, added: added}
			p.create()
			p.chunk(ranges.Range{Start: 300, End: 600}, 202)
			p.send("wholeFile", 201, small.Bytes(small.All()), `\(type)`, "video/mp4")
			p.wantMissing()
		})
	}
}

// After a break URLSession goes on by itself, at the URL that the 104 has: with the ticket.
func TestIOSPageWholeFileGoesOnAfterABreak(t *testing.T) {
	t.Parallel()
	p := &iosPage{T: t, s: guarded(t, "--ticket-ttl", "168h"), requests: requestsIn(t, "ios.md", "swift"), content: small}
	p.create()
	fields := append(p.requests["wholeFile"].fields(t, `\(type)`, "video/mp4"), iosHeaders["iOS 26"]...)
	w := dial(t, p.s.Addr)
	path := strings.TrimPrefix(p.upload, "http://"+p.s.Addr)
	w.send(slices.Concat([]string{"PUT " + path + " HTTP/1.1", "Host: " + p.s.Addr, "Content-Length: 1000"}, fields)...)
	informed := w.answer()
	if url := informed.Header.Get("Location"); informed.Status != 104 || url != p.upload {
		t.Fatalf("%d, Location %q, want %q", informed.Status, url, p.upload)
	}
	w.write(string(small.Bytes(ranges.Range{Start: 0, End: 400})))
	w.end()
	version := []string{"Upload-Draft-Interop-Version: 6"}
	at := ask(t, "HEAD", p.upload, nil, version, 200, 204).Header.Get("Upload-Offset")
	offset, err := strconv.ParseInt(at, 10, 64)
	if err != nil || offset < 0 || offset > 400 {
		t.Fatalf("offset %q", at)
	}
	rest := small.Bytes(ranges.Range{Start: offset, End: 1000})
	ask(t, "PATCH", p.upload, bytes.NewReader(rest), append(version, "Content-Type: application/partial-upload", "Upload-Complete: ?1", "Upload-Offset: "+at), 200, 201, 204)
	p.wantMissing()
}

// Each request of docs/android.md, and those of tus-java-client as the page lists them, do
// what the page says: chunked bodies, 100-continue, and PATCH by way of POST.
func TestAndroidPageUploadsAFile(t *testing.T) {
	t.Parallel()
	s := guarded(t, "--ticket-ttl", "168h")
	requests := requestsIn(t, "android.md", "kotlin")
	if len(requests) != 1 {
		t.Errorf("no test sends some of %v", requests)
	}
	authorization := requests["authorize"].fields(t, "$token", Token("anna"))
	created := ask(t, "POST", s.URL(""), nil, append(authorization, tusVersion, "Upload-Length: 1000", "Upload-Metadata: filename "+base64Of("trip.mp4")), 201)
	url := created.Header.Get("Location")
	path := strings.TrimPrefix(url, "http://"+s.Addr)
	at := func() string { return ask(t, "HEAD", url, nil, []string{tusVersion}, 200).Header.Get("Upload-Offset") }
	patch := func(method string, from, to int64, more ...string) {
		w := dial(t, s.Addr)
		w.send(slices.Concat([]string{method + " " + path + " HTTP/1.1", "Host: " + s.Addr, tusVersion, offsetBytes,
			"Upload-Offset: " + strconv.FormatInt(from, 10), "Expect: 100-continue", "Transfer-Encoding: chunked"}, more)...)
		if body := small.Bytes(ranges.Range{Start: from, End: to}); len(body) > 0 {
			demand(t, w.answer(), 100)
			w.write(fmt.Sprintf("%x\r\n%s\r\n", len(body), body))
		}
		w.write("0\r\n\r\n")
		a := w.answer()
		if got := a.Header.Get("Upload-Offset"); a.Status != 204 || got != strconv.FormatInt(to, 10) {
			t.Fatalf("%s: status %d, offset %q, want %d: %s", method, a.Status, got, to, a.Body)
		}
	}
	patch("PATCH", 0, 400)
	if got := at(); got != "400" {
		t.Errorf("offset %s", got)
	}
	patch("POST", 400, 1000, "X-HTTP-Method-Override: PATCH")
	if got := at(); got != "1000" {
		t.Errorf("offset %s", got)
	}
	patch("PATCH", 1000, 1000) // the last response was lost: the client goes on from the end
	wantState(t, ask(t, "GET", url, nil, []string{"Accept: application/json"}, 200), 1000)
	ask(t, "DELETE", url, nil, append(authorization, tusVersion), 204)
	ask(t, "HEAD", url, nil, []string{tusVersion}, 404) // on which the client creates a new one
}
