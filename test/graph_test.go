package test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// graphChunk is the length of chunks, of which Microsoft's libraries want multiples.
const graphChunk = 320 * kib

var graphCases = []libraryCase{
	{"in one chunk", "known size", 1001, graphChunk, NoFault},
	{"in chunks", "known size", 3*graphChunk + 1002, graphChunk, NoFault},
	{"an exact multiple", "known size", 3 * graphChunk, graphChunk, NoFault},
	{"with a 503", "known size", 4*graphChunk + 1003, graphChunk, Refused},
	{"with a cut body", "known size", 4*graphChunk + 1004, graphChunk, CutBody},
	{"with a lost answer", "known size", 4*graphChunk + 1005, graphChunk, LostAnswer},
	{"with the last answer lost", "known size", 4*graphChunk + 1006, graphChunk, LostLast},
}

// Microsoft's libraries want TLS, which a proxy has before the server.
func TestMicrosoftsLibraryUploadsWhateverGoesWrong(t *testing.T) {
	t.Parallel()
	for store, s := range map[string]*Server{"disk": {Bin: holdfast, Data: filepath.Join(t.TempDir(), "data")}, "S3": onS3(t, nil)} {
		run(t, s)
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			var jobs []*libraryJob
			certificate := filepath.Join(t.TempDir(), "proxy.pem")
			for i, c := range graphCases {
				proxy := NewTLSFaultProxy(s.Addr, c.fault)
				t.Cleanup(proxy.Close)
				text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw})
				if err := os.WriteFile(certificate, text, 0o600); err != nil {
					t.Fatal(err)
				}
				content := NewContent(uint64(200+i), c.size)
				jobs = append(jobs, &libraryJob{Case: c.name, Endpoint: proxy.URL, Name: fmt.Sprintf("holiday %d.mp4", i), File: file(t, content), Chunk: c.chunk, content: content, proxy: proxy})
			}
			results := runLibrary(t, jobs, append([]string{"env", "NODE_EXTRA_CA_CERTS=" + certificate}, program(t, "node/graph.js")...)...)
			for _, job := range jobs {
				t.Run(job.Case, func(t *testing.T) { job.checkGraph(t, s, results[job.Case]) })
			}
		})
	}
}

func (j *libraryJob) checkGraph(t *testing.T, s *Server, result libraryResult) {
	if result.Error != "" || result.Size != j.content.Size {
		t.Fatalf("the library has %d bytes, and says: %s", result.Size, result.Error)
	}
	if j.proxy.Fault != NoFault && j.proxy.Fired.Load() == 0 {
		t.Error("nothing went wrong, so nothing was shown")
	}
	path, _, _ := strings.Cut(result.Location, "?")
	id := idOf(path)
	a := ask(t, http.MethodGet, s.URL(id), nil, nil, http.StatusOK)
	if got := a.Header.Get("Content-Disposition"); !strings.Contains(got, j.Name) {
		t.Errorf("the file is served as %q", got)
	}
	wantFile(t, s.URL(id), j.content)
	wantOneEvent(t, s, id, "finished")
}

func TestAGraphSessionIsServedFromCreationToState(t *testing.T) {
	t.Parallel()
	s := guarded(t, "--ticket-ttl", "1h")
	create := "http://" + s.Addr + "/v1.0/me/drive/root:/Docs/v.mp4:/createUploadSession"
	rawAnswer(t, "POST", create, "{}", nil, 401)
	anna := Bearer(Token("anna"))
	rawAnswer(t, "POST", create, "{", []string{anna}, 400)
	rawAnswer(t, "GET", create, "", []string{anna}, 404)
	var session struct {
		UploadURL          string    `json:"uploadUrl"`
		ExpirationDateTime time.Time `json:"expirationDateTime"`
		NextExpectedRanges []string  `json:"nextExpectedRanges"`
	}
	state := func(a Answer) {
		t.Helper()
		session.NextExpectedRanges = nil
		if err := json.Unmarshal(a.Body, &session); err != nil {
			t.Fatal(err)
		}
	}
	state(rawAnswer(t, "POST", create, `{"item":{"@microsoft.graph.conflictBehavior":"rename","name":"w.mp4"}}`, []string{anna}, 200))
	url := session.UploadURL
	if !strings.HasPrefix(url, s.URL("")) || !strings.Contains(url, "ticket=") || len(session.NextExpectedRanges) != 1 || session.NextExpectedRanges[0] != "0-" || time.Until(session.ExpirationDateTime) < time.Hour {
		t.Fatalf("the session is %+v", session)
	}
	rawAnswer(t, "PUT", url, string(small.Bytes(ranges.Of(0, 300))), []string{"Content-Range: bytes 0-299/1000"}, 202)
	if state(rawAnswer(t, "GET", url, "", nil, 200)); fmt.Sprint(session.NextExpectedRanges) != "[300-999]" {
		t.Errorf("the state has %v", session.NextExpectedRanges)
	}
	rawAnswer(t, "PUT", url, string(small.Bytes(ranges.Of(300, 700))), []string{"Content-Range: bytes 300-999/1000"}, 201)
	if state(rawAnswer(t, "GET", url, "", nil, 200)); session.NextExpectedRanges == nil || len(session.NextExpectedRanges) > 0 {
		t.Errorf("the state of a finished upload has %v, want []", session.NextExpectedRanges)
	}
	id, _, _ := strings.Cut(url, "?")
	a := ask(t, "GET", id, nil, []string{anna}, 200)
	if string(a.Body) != string(small.Bytes(small.All())) || !strings.Contains(a.Header.Get("Content-Disposition"), "w.mp4") {
		t.Errorf("the file is served as %v", a.Header)
	}
}

func TestGraphUploadsCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	s := start(t, "--no-graph-uploads")
	a := rawAnswer(t, "POST", "http://"+s.Addr+"/v1.0/createUploadSession", "{}", nil, 404)
	if !strings.Contains(string(a.Body), "Nothing is here") {
		t.Errorf("%s", a.Body)
	}
}
