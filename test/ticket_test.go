package test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/holdfast-upload/holdfast/hooks/auth"
)

// guarded starts a server that takes tokens and tickets.
func guarded(t *testing.T, args ...string) *Server {
	t.Helper()
	return start(t, append([]string{"--auth-jwt-secret", TokenSecret, "--ticket-secret", TicketSecret}, args...)...)
}

var tenBytes = []string{"Content-Range: bytes 0-9/20"}

func TestTicketGrantsOneUploadAndNothingElse(t *testing.T) {
	t.Parallel()
	s := guarded(t)
	anna := Bearer(Token("anna"))
	for _, id := range []string{"it", "other"} {
		ask(t, "PUT", s.URL(id), strings.NewReader("0123456789"), append(tenBytes, anna), 202)
	}
	it := auth.Ticket{Upload: "it", Subject: "anna"}
	url := auth.TicketURL(s.URL("it"), TicketFor(it))
	header := "Upload-Ticket: " + TicketFor(it)

	ask(t, "HEAD", url, nil, []string{tusVersion}, 200)
	ask(t, "HEAD", s.URL("it"), nil, []string{header}, 200)
	ask(t, "GET", url, nil, nil, 200)
	ask(t, "PUT", url, nil, []string{"Content-Range: bytes */*"}, 202)
	ask(t, "PUT", s.URL("other")+"?ticket="+TicketFor(it), strings.NewReader("x"), []string{"Content-Range: bytes 10-10/20"}, 403)
	ask(t, "POST", s.URL("")+"?ticket="+TicketFor(it), nil, []string{tusVersion, "Upload-Length: 5"}, 403)
	ask(t, "DELETE", url, nil, nil, 403)
	ask(t, "DELETE", url, nil, []string{tusVersion}, 403)
	ask(t, "POST", url, nil, []string{tusVersion, "X-HTTP-Method-Override: DELETE"}, 403)

	// Another who has the id now: the ticket was for Anna's.
	bert := auth.Ticket{Upload: "it", Subject: "bert"}
	ask(t, "GET", auth.TicketURL(s.URL("it"), TicketFor(bert)), nil, nil, 404)
	ask(t, "GET", auth.TicketURL(s.URL("it"), TicketFor(auth.Ticket{Upload: "it"})), nil, nil, 200)

	ask(t, "PATCH", url, strings.NewReader("abcde"), []string{tusVersion, offsetBytes, "Upload-Offset: 10"}, 204)
	ask(t, "PUT", url, strings.NewReader("fghij"), []string{"Content-Range: bytes 15-19/20"}, 201)
	ask(t, "HEAD", url, nil, nil, 200)
	ask(t, "HEAD", url, nil, []string{tusVersion}, 200)
	ask(t, "PUT", url, strings.NewReader("fghij"), []string{"Content-Range: bytes 15-19/20"}, 201)
	wantState(t, ask(t, "GET", url, nil, nil, 200), 20) // the file is not for this ticket
	wantState(t, ask(t, "GET", url, nil, []string{"Range: bytes=0-1", "Accept: video/mp4"}, 200), 20)
	it.Download = true
	file := ask(t, "GET", auth.TicketURL(s.URL("it"), TicketFor(it)), nil, nil, 200)
	if c := file.Header.Get("Cache-Control"); !strings.Contains(c, "private") {
		t.Errorf("a cache may give the file to others: Cache-Control: %q", c)
	}
	if string(file.Body) != "0123456789abcdefghij" {
		t.Errorf("the file is %q", file.Body)
	}
	// With a token beside it, the token decides what the ticket does not grant.
	ask(t, "GET", url, nil, []string{anna}, 200)
	ask(t, "GET", url, nil, []string{Bearer(Token("bert"))}, 404)
	ask(t, "DELETE", url, nil, []string{anna}, 204)
}

func TestTicketMayCreateItsUpload(t *testing.T) {
	t.Parallel()
	s := guarded(t)
	create := func(id string) string {
		return "?ticket=" + TicketFor(auth.Ticket{Upload: id, Subject: "anna", Create: true, MaxSize: 100})
	}
	ask(t, "PUT", s.URL("a")+create("a"), strings.NewReader("0123456789"), tenBytes, 202)
	ask(t, "GET", s.URL("a"), nil, []string{Bearer(Token("anna"))}, 200)
	ask(t, "GET", s.URL("a"), nil, []string{Bearer(Token("bert"))}, 404)
	query := create("b")
	answer := ask(t, "POST", s.URL("")+query, nil, []string{tusVersion, "Upload-Length: 100"}, 201)
	if got := answer.Header.Get("Location"); got != s.URL("b")+query {
		t.Errorf("Location %q: the ticket is for b, and the client goes on with it", got)
	}
	inHeader := strings.TrimPrefix(create("h"), "?ticket=")
	answer = ask(t, "POST", s.URL(""), nil, []string{tusVersion, "Upload-Length: 100", "Upload-Ticket: " + inHeader}, 201)
	if got := answer.Header.Get("Location"); got != s.URL("h") {
		t.Errorf("Location %q: the client repeats its header", got)
	}
	ask(t, "PUT", s.URL("c")+create("c"), strings.NewReader("0123456789"), []string{"Content-Range: bytes 0-9/101"}, 413)
	ask(t, "POST", s.URL("")+create("d"), nil, []string{tusVersion, "Upload-Length: 101"}, 413)
	without := "?ticket=" + TicketFor(auth.Ticket{Upload: "e", Subject: "anna"})
	ask(t, "PUT", s.URL("e")+without, strings.NewReader("0123456789"), tenBytes, 403)
	ask(t, "POST", s.URL("")+create("f"), nil, []string{tusVersion, "Upload-Concat: final;/files/a"}, 403)
}

// A phone creates an upload with a token, which then expires. The URL that it was given
// goes on.
func TestTicketedLocationOutlivesTheToken(t *testing.T) {
	t.Parallel()
	s := guarded(t, "--ticket-ttl", "24h")
	anna := Bearer(Token("anna"))
	created := ask(t, "POST", s.URL(""), nil, []string{tusVersion, "Upload-Length: 20", anna}, 201)
	url := created.Header.Get("Location")
	if !strings.HasPrefix(url, s.URL("")) || !strings.Contains(url, "?ticket=ey") {
		t.Fatalf("Location %q has no ticket", url)
	}
	expired := Bearer(Token("anna", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}))
	ask(t, "PATCH", url, strings.NewReader("0123456789"), []string{tusVersion, offsetBytes, "Upload-Offset: 0", expired}, 204)
	ask(t, "HEAD", url, nil, []string{tusVersion}, 200)

	chunk := ask(t, "PUT", s.URL("mine"), strings.NewReader("0123456789"), append(tenBytes, anna), 202)
	ticketed := uploadURL(t, chunk)
	if !strings.HasPrefix(ticketed, s.URL("mine")+"?ticket=ey") {
		t.Fatalf("uploadUrl %q", ticketed)
	}
	whole := uploadURL(t, ask(t, "PUT", s.URL("whole"), strings.NewReader("0123456789"), []string{anna}, 201))
	if !strings.HasPrefix(whole, s.URL("whole")+"?ticket=ey") {
		t.Errorf("a file that came in one piece: uploadUrl %q", whole)
	}
	ask(t, "PUT", whole, strings.NewReader("0123456789"), []string{"Content-Range: bytes 0-9/10"}, 201) // its answer was lost
	wantState(t, ask(t, "GET", whole, nil, nil, 200), 10)
	again := ask(t, "PUT", ticketed, strings.NewReader("0123456789"), tenBytes, 202)
	if got := uploadURL(t, again); got != "" {
		t.Errorf("who has a ticket gets another: it would never end: %s", got)
	}
	ask(t, "PUT", ticketed, strings.NewReader("abcdefghij"), []string{"Content-Range: bytes 10-19/20"}, 201)
	if strings.Contains(s.Log(), "eyJ") || strings.Contains(s.Log(), "ticket=") {
		t.Error("a ticket is in the log")
	}
}

// tus clients name the parts of a concatenation by the URLs that they were given.
func TestPartsAreConcatenatedByTicketedURLs(t *testing.T) {
	t.Parallel()
	s := guarded(t, "--ticket-ttl", "24h")
	anna := Bearer(Token("anna"))
	var parts []string
	for range 2 {
		made := ask(t, "POST", s.URL(""), nil, []string{tusVersion, "Upload-Length: 5", "Upload-Concat: partial", anna}, 201)
		parts = append(parts, made.Header.Get("Location"))
		ask(t, "PATCH", parts[len(parts)-1], strings.NewReader("hello"), []string{tusVersion, offsetBytes, "Upload-Offset: 0"}, 204)
	}
	concat := "Upload-Concat: final;" + strings.Join(parts, " ")
	ask(t, "POST", s.URL(""), nil, []string{tusVersion, concat, Bearer(Token("bert"))}, 404)
	ask(t, "POST", s.URL(""), nil, []string{tusVersion, concat}, 401)
	whole := ask(t, "POST", s.URL(""), nil, []string{tusVersion, concat, anna}, 201)
	file := ask(t, "GET", whole.Header.Get("Location"), nil, []string{anna}, 200)
	if string(file.Body) != "hellohello" {
		t.Errorf("the file is %q", file.Body)
	}
}

func TestPartOfATypeThatIsNotAllowedIsNotStored(t *testing.T) {
	t.Parallel()
	s := guarded(t)
	images := Bearer(Token("anna", map[string]any{"holdfast": map[string]any{"contentTypes": []string{"image/*"}}}))
	page, photo := "Upload-Metadata: filetype dGV4dC9odG1s", "Upload-Metadata: filetype aW1hZ2UvcG5n"
	part := func(want int, fields ...string) Answer {
		return ask(t, "POST", s.URL(""), strings.NewReader("hello"),
			append(fields, tusVersion, offsetBytes, "Upload-Length: 5", "Upload-Concat: partial", images), want)
	}
	part(403, page)
	concat := "Upload-Concat: final;" + part(201).Header.Get("Location") + " " + part(201, photo).Header.Get("Location")
	ask(t, "POST", s.URL(""), nil, []string{tusVersion, concat, page, images}, 403)
	ask(t, "POST", s.URL(""), nil, []string{tusVersion, concat, photo, images}, 201)
}

func TestTicketIsPrinted(t *testing.T) {
	t.Parallel()
	s := guarded(t)
	cmd := exec.Command(holdfast, "ticket", "create", "--upload", "printed", "--expires", "48h", "--subject", "anna", "--create", "--url", s.URL(""))
	cmd.Env = append(cmd.Environ(), "HOLDFAST_TICKET_SECRET="+TicketSecret+",another-secret-of-thirty-two-bytes")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	url := strings.TrimSpace(string(out))
	ask(t, "PUT", url, strings.NewReader("0123456789"), tenBytes, 202)
	curl(t, filepath.Dir(file(t, NewContent(1, 10))), 201, "-T", "video.mp4", "-H", "Content-Range: bytes 10-19/20", url)
}

// While a secret is being changed the old one and the new one count, and clocks may
// differ a little.
func TestSecretsAreRotated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old, tickets := filepath.Join(dir, "tokens"), filepath.Join(dir, "tickets")
	newer := "a-newer-secret-for-tests-alone-of-tokens"
	if err := errors.Join(os.WriteFile(old, []byte(newer+"\n"+TokenSecret+"\n"), 0o600), os.WriteFile(tickets, []byte(newer+"\n"+TicketSecret), 0o600)); err != nil {
		t.Fatal(err)
	}
	s := start(t, "--auth-jwt-secret-file", old, "--ticket-secret-file", tickets, "--ticket-ttl", "1h")
	var ticketed string
	for _, secret := range []string{TokenSecret, newer} {
		token := Signed(jwt.SigningMethodHS256, []byte(secret), "", Claims("anna"))
		ticketed = uploadURL(t, ask(t, "PUT", s.URL("it"), strings.NewReader("0123456789"), append(tenBytes, Bearer(token)), 202))
	}
	ask(t, "GET", ticketed, nil, nil, 200)
	ask(t, "GET", auth.TicketURL(s.URL("it"), TicketFor(auth.Ticket{Upload: "it"})), nil, nil, 200)
	withNewer, err := auth.Sign(newer, auth.Ticket{Upload: "it", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	ask(t, "GET", auth.TicketURL(s.URL("it"), withNewer), nil, nil, 200)
	just := map[string]any{"exp": time.Now().Add(-10 * time.Second).Unix()}
	ask(t, "GET", s.URL("it"), nil, []string{Bearer(Token("anna", just))}, 200)
	if log := s.Log(); strings.Contains(log, newer) || strings.Contains(log, TokenSecret) {
		t.Error("a secret is in the log")
	}
}

// A client that waits for 100 Continue gets the refusal in its place.
func TestExpectingClientIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	s := guarded(t)
	for _, r := range []string{"PUT /files/it", "POST /files/"} {
		w := dial(t, s.Addr)
		w.send(r+" HTTP/1.1", "Host: "+s.Addr, "Content-Length: 52428800", "Expect: 100-continue", tusVersion, "Upload-Length: 52428800", offsetBytes)
		if a := w.answer(); a.Status != http.StatusUnauthorized {
			t.Errorf("%s: status %d", r, a.Status)
		}
	}
}

// One of many streams of a connection is refused, and the others go on.
func TestRefusalOverHTTP2EndsOnlyItsStream(t *testing.T) {
	t.Parallel()
	s := guarded(t)
	client, connections := oneConnection()
	content := NewContent(9, 3*mib)
	good := &Client{HTTP: client, URL: s.URL("h2"), Content: content, Header: http.Header{"Authorization": {"Bearer " + Token("anna")}}}
	bad := &Client{HTTP: client, URL: s.URL("h2-bad"), Content: content}
	for i, r := range content.Chunks(mib) {
		put(t, bad, r, http.StatusUnauthorized)
		want := http.StatusAccepted
		if i == 2 {
			want = http.StatusCreated
		}
		put(t, good, r, want)
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	wantNothingOf(t, s, "h2-bad")
}

// A stranger who knows the id of an upload does not get its lock, and so does not cut
// its owner off.
func TestAStrangerInterruptsNoUpload(t *testing.T) {
	t.Parallel()
	s := guarded(t)
	anna, bert := Bearer(Token("anna")), Bearer(Token("bert"))
	url := createTus(t, s, 10, anna)
	w := dial(t, s.Addr)
	w.send("PATCH /files/"+idOf(url)+" HTTP/1.1", "Host: "+s.Addr, tusVersion, offsetBytes, "Upload-Offset: 0", "Content-Length: 10", anna)
	w.write("01234")
	time.Sleep(100 * time.Millisecond) // it has the lock now
	ask(t, "PATCH", url, strings.NewReader("x"), []string{tusVersion, offsetBytes, "Upload-Offset: 0", bert}, 404)
	ask(t, "PUT", url, strings.NewReader("x"), []string{bert}, 404)
	ask(t, "DELETE", url, nil, []string{tusVersion, bert}, 404)
	w.write("56789")
	if a := w.answer(); a.Status != http.StatusNoContent {
		t.Errorf("Anna's PATCH: status %d: %s", a.Status, a.Body)
	}
}

func uploadURL(t *testing.T, a Answer) string {
	t.Helper()
	var got struct{ UploadURL string }
	if err := json.Unmarshal(a.Body, &got); err != nil {
		t.Fatal(err)
	}
	return got.UploadURL
}
