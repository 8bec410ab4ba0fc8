package test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// readmeBlock returns the block of the documents, in a language, that contains a text.
func readmeBlock(t *testing.T, language, text string) string {
	t.Helper()
	for _, block := range readmeBlocks(t, language) {
		if strings.Contains(block, text) {
			return block
		}
	}
	t.Fatalf("the documents have no %s with %q", language, text)
	return ""
}

// typed runs a script of the README against a server.
func typed(t *testing.T, s *Server, script string, content Content) {
	t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", strings.ReplaceAll(script, "http://localhost:8080/", "http://"+s.Addr+"/"))
	cmd.Dir = filepath.Dir(file(t, content))
	cmd.Env = append(os.Environ(), "AUTH_SECRET="+TokenSecret, "HOLDFAST_TICKET_SECRET="+TicketSecret, "PATH="+filepath.Dir(holdfast)+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestReadmeMakesATokenAndATicket(t *testing.T) {
	t.Parallel()
	s := guarded(t)
	content := NewContent(31, 100_000)
	typed(t, s, readmeBlock(t, "sh", "openssl dgst"), content)
	typed(t, s, readmeBlock(t, "sh", "holdfast ticket create"), content)
	for _, id := range []string{"holiday", "trip"} {
		answer := ask(t, "GET", s.URL(id), nil, []string{Bearer(Token("anna"))}, 200)
		if string(answer.Body) != string(content.Bytes(content.All())) {
			t.Errorf("%s: %d bytes that are not those sent", id, len(answer.Body))
		}
	}
}

// setting is a header field that a Swift request is given.
var setting = regexp.MustCompile(`(\w+)\.setValue\("(.*)", forHTTPHeaderField: "(.*)"\)`)

// swiftFields are the header fields of a request in Swift, with what it puts into them.
func swiftFields(script, request string, values *strings.Replacer) []string {
	var fields []string
	for _, set := range setting.FindAllStringSubmatch(script, -1) {
		if set[1] == request {
			fields = append(fields, set[3]+": "+values.Replace(set[2]))
		}
	}
	return fields
}

// The two requests of an app on a phone, as the README has them: the second has no token.
func TestReadmeGetsAPhoneItsTicket(t *testing.T) {
	t.Parallel()
	swift := readmeBlock(t, "swift", "ticketed")
	values := strings.NewReplacer(`\(token)`, Token("anna"), `\(start)`, "0", `\(end)`, "9", `\(total)`, "10")
	for _, line := range []string{`create.httpMethod = "POST"`, `"https://up.example.com/files/"`, `forHTTPHeaderField: "Location"`, `chunk.httpMethod = "PUT"`} {
		if !strings.Contains(swift, line) {
			t.Errorf("the README has no %s", line)
		}
	}
	s := guarded(t, "--ticket-ttl", "168h")
	created := ask(t, "POST", s.URL(""), nil, swiftFields(swift, "create", values), 201)
	ask(t, "PUT", created.Header.Get("Location"), strings.NewReader("0123456789"), swiftFields(swift, "chunk", values), 201)
}

// The limits in the README's token are those that count.
func TestReadmeTokenLimitsItsSubject(t *testing.T) {
	t.Parallel()
	var claims map[string]any
	if err := json.Unmarshal([]byte(readmeBlock(t, "json", `"holdfast"`)), &claims); err != nil {
		t.Fatal(err)
	}
	s := guarded(t)
	delete(claims, "exp")
	anna := Bearer(Token("anna", claims))
	jpeg, small := "Content-Type: image/jpeg", "Content-Range: bytes 0-9/20"
	send := func(id string, want int, fields ...string) {
		t.Helper()
		ask(t, "PUT", s.URL(id), strings.NewReader("0123456789"), append(fields, anna), want)
	}
	send("anna-1", 202, jpeg, small)
	send("bert-1", 403, jpeg, small)
	send("anna-2", 403, "Content-Type: image/png", small)
	send("anna-3", 202, "Content-Type: video/mp4", small)
	send("anna-4", 413, jpeg, "Content-Range: bytes 0-9/5368709121")
	for i := range 8 {
		send("anna-live-"+string(rune('a'+i)), 202, jpeg, small)
	}
	send("anna-live-z", 503, jpeg, small) // ten are unfinished
}
