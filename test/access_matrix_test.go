package test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/sync/errgroup"

	"github.com/holdfast-upload/holdfast/hooks/auth"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// attempt is a request that a client may not make. Those with a body say that they
// have one, and send nothing of it: so an answer shows that the server did not wait.
type attempt struct {
	name, method, path string
	fields             []string
	makes              bool // an upload, which everybody with a token may
}

// attempts are all the requests that the protocols accept. The uploads "live", "done" and "part" are Anna's.
var attempts = []attempt{
	{"create", "POST", "", []string{tusVersion, "Upload-Length: 10", "Content-Length: 0"}, true},
	{"create with upload", "POST", "", []string{tusVersion, "Upload-Length: 1000", offsetBytes, "Content-Length: 1000"}, true},
	{"concatenate", "POST", "", []string{tusVersion, "Upload-Concat: final;/files/part", "Content-Length: 0"}, false},
	{"tus HEAD", "HEAD", "live", []string{tusVersion}, false},
	{"tus HEAD of a file", "HEAD", "done", []string{tusVersion}, false},
	{"tus PATCH", "PATCH", "live", []string{tusVersion, offsetBytes, "Upload-Offset: 10", "Content-Length: 50"}, false},
	{"tus PATCH in a POST", "POST", "live", []string{tusVersion, "X-HTTP-Method-Override: PATCH", offsetBytes, "Upload-Offset: 10", "Content-Length: 50"}, false},
	{"tus DELETE", "DELETE", "live", []string{tusVersion}, false},
	{"tus DELETE in a POST", "POST", "live", []string{tusVersion, "X-HTTP-Method-Override: DELETE", "Content-Length: 0"}, false},
	{"HEAD", "HEAD", "live", nil, false},
	{"HEAD of a file", "HEAD", "done", nil, false},
	{"GET", "GET", "live", nil, false},
	{"GET of a file", "GET", "done", nil, false},
	{"GET of a range", "GET", "done", []string{"Range: bytes=0-1"}, false},
	{"DELETE", "DELETE", "live", nil, false},
	{"DELETE of a file", "DELETE", "done", nil, false},
	{"PUT a range", "PUT", "live", []string{"Content-Range: bytes 10-59/100", "Content-Length: 50"}, false},
	{"PUT a range again", "PUT", "done", []string{"Content-Range: bytes 0-99/100", "Content-Length: 100"}, false},
	{"PUT query", "PUT", "live", []string{"Content-Range: bytes */*", "Content-Length: 0"}, false},
	{"PUT query with a total", "PUT", "live", []string{"Content-Range: bytes */100", "Content-Length: 0"}, false},
	{"PUT whole", "PUT", "live", []string{"Content-Length: 100"}, false},
	{"PUT whole, chunked", "PUT", "live", []string{"Transfer-Encoding: chunked"}, false},
	{"PUT creates", "PUT", "another", []string{"Content-Range: bytes 0-49/100", "Content-Length: 50"}, true},
	{"PUT whole creates", "PUT", "another", []string{"Content-Length: 100"}, true},
	{"POST a range", "POST", "live", []string{"Content-Range: bytes 10-59/100", "Content-Length: 50"}, false},
	{"PATCH a range", "PATCH", "live", []string{"Content-Range: bytes 10-59/100", "Content-Length: 50"}, false},
	{"IETF HEAD", "HEAD", "live", []string{ietfSix}, false},
	{"IETF GET of a file", "GET", "done", []string{ietfSix}, false},
	{"IETF DELETE", "DELETE", "live", []string{ietfSix}, false},
	{"IETF PATCH", "PATCH", "live", []string{ietfSix, "Upload-Complete: ?0", "Upload-Offset: 10", "Content-Type: application/partial-upload", "Content-Length: 50"}, false},
	{"IETF POST creates", "POST", "", []string{ietfSix, "Upload-Complete: ?1", "Content-Length: 100"}, true},
	{"IETF PUT creates", "PUT", "another", []string{ietfSix, "Upload-Complete: ?1", "Content-Length: 100"}, true},
	{"IETF PUT", "PUT", "live", []string{ietfSix, "Upload-Complete: ?1", "Content-Length: 100"}, false},
	{"another method", "PROPFIND", "live", nil, false},
}

// make makes the attempt on a connection of its own, and demands that the server has
// done with it after the answer, if there was a body to come.
func (a attempt) make(t *testing.T, s *Server, query string, fields ...string) Answer {
	t.Helper()
	w := dial(t, s.Addr)
	head := []string{a.method + " /files/" + a.path + query + " HTTP/1.1", "Host: " + s.Addr}
	w.send(append(append(head, a.fields...), fields...)...)
	resp, err := http.ReadResponse(w.in, &http.Request{Method: a.method})
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	answer, err := ReadAnswer(resp)
	if err != nil {
		t.Fatal(err)
	}
	if a.length() > 0 || strings.Contains(strings.Join(a.fields, "\n"), "chunked") {
		_ = w.conn.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := w.in.ReadByte(); err != io.EOF {
			t.Errorf("the connection stays: %v", err)
		}
	}
	return answer
}

func (a attempt) length() (n int64) {
	for _, f := range a.fields {
		_, _ = fmt.Sscanf(f, "Content-Length: %d", &n) // the other fields are no lengths
	}
	return n
}

// annas makes the uploads of the attempts.
func annas(t *testing.T, s *Server, token string) {
	t.Helper()
	content := NewContent(3, 100)
	live, done := newClient(s, "live", content), newClient(s, "done", content)
	live.Header = http.Header{"Authorization": {"Bearer " + token}}
	done.Header = live.Header
	put(t, live, ranges.Of(0, 10), http.StatusAccepted)
	put(t, done, content.All(), http.StatusCreated)
	part := TicketFor(auth.Ticket{Upload: "part", Subject: "anna", Create: true})
	ask(t, "POST", s.URL(""), strings.NewReader("hello"),
		[]string{tusVersion, offsetBytes, "Upload-Length: 5", "Upload-Concat: partial", "Upload-Ticket: " + part}, http.StatusCreated)
}

// wrong is a kind of credentials that do not let in.
type wrong struct {
	query  string
	fields []string
	want   int
	code   string // in WWW-Authenticate
}

func wrongTickets() map[string]wrong {
	live := TicketFor(auth.Ticket{Upload: "live", Subject: "anna", Create: true, Download: true})
	i := strings.LastIndex(live, ".") + 5
	flipped := map[bool]string{true: "B", false: "A"}[live[i] == 'A']
	expired := TicketFor(auth.Ticket{Upload: "live", Subject: "anna", Expires: time.Now().Add(-time.Second)})
	other := TicketFor(auth.Ticket{Upload: "quite-another", Subject: "anna"})
	foreign, err := auth.Sign("a secret that is not configured here", auth.Ticket{Upload: "live", Subject: "anna", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		panic(err)
	}
	// A token of an app that signs both with one secret, and says too much in it.
	talkative := func(more map[string]any) string {
		claims := Claims("anna", map[string]any{"upload": "live", "create": true, "download": true}, more)
		return Signed(jwt.SigningMethodHS256, []byte(TicketSecret), "", claims)
	}
	return map[string]wrong{
		"token with the claims of a ticket":  {"?ticket=" + talkative(nil), nil, 401, "invalid_token"},
		"token with its audience too":        {"?ticket=" + talkative(map[string]any{"aud": "urn:holdfast:ticket"}), nil, 401, "invalid_token"},
		"ticket of another upload":           {"?ticket=" + other, nil, 403, "insufficient_scope"},
		"ticket of another upload, a header": {"", []string{"Upload-Ticket: " + other}, 403, "insufficient_scope"},
		"expired ticket":                     {"?ticket=" + expired, nil, 401, "invalid_token"},
		"tampered ticket":                    {"?ticket=" + live[:i] + flipped + live[i+1:], nil, 401, "invalid_token"},
		"ticket of another secret":           {"?ticket=" + foreign, nil, 401, "invalid_token"},
		"two tickets":                        {"?ticket=" + live, []string{"Upload-Ticket: " + live}, 401, "invalid_token"},
		"token for a ticket":                 {"?ticket=" + Token("anna"), nil, 401, "invalid_token"},
		"ticket for a token":                 {"", []string{Bearer(live)}, 401, "invalid_token"},
		"empty ticket":                       {"?ticket=", nil, 401, ""},
	}
}

func wrongTokens(good string) map[string]wrong {
	sign := func(method jwt.SigningMethod, key any, claims jwt.MapClaims) []string {
		return []string{Bearer(Signed(method, key, "", claims))}
	}
	anna, secret := Claims("anna"), []byte(TokenSecret)
	expired := Claims("anna", map[string]any{"exp": time.Now().Add(-31 * time.Second).Unix()})
	forever := Claims("anna")
	delete(forever, "exp")
	invalid := func(fields []string) wrong { return wrong{"", fields, 401, "invalid_token"} }
	return map[string]wrong{
		"no token":        {"", nil, 401, `realm="holdfast"`},
		"another scheme":  {"", []string{"Authorization: Basic YW5uYTphbm5h"}, 401, `realm="holdfast"`},
		"no JWT":          invalid([]string{Bearer("anna")}),
		"two tokens":      invalid([]string{Bearer(good), Bearer(good)}),
		"bad signature":   invalid(sign(jwt.SigningMethodHS256, []byte("another secret, of thirty-two bytes"), anna)),
		"wrong alg":       invalid(sign(jwt.SigningMethodHS384, secret, anna)),
		"alg none":        invalid(sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, anna)),
		"no signature":    invalid([]string{Bearer(good[:strings.LastIndex(good, ".")+1])}),
		"expired":         invalid(sign(jwt.SigningMethodHS256, secret, expired)),
		"without expiry":  invalid(sign(jwt.SigningMethodHS256, secret, forever)),
		"not yet":         invalid(sign(jwt.SigningMethodHS256, secret, Claims("anna", map[string]any{"nbf": time.Now().Add(30 * time.Minute).Unix()}))),
		"no subject":      invalid(sign(jwt.SigningMethodHS256, secret, Claims(""))),
		"a mad limit":     invalid(sign(jwt.SigningMethodHS256, secret, Claims("anna", map[string]any{"holdfast": map[string]any{"maxSize": -1}}))),
		"ticket audience": invalid(sign(jwt.SigningMethodHS256, secret, Claims("anna", map[string]any{"aud": "urn:holdfast:ticket"}))),
		"too long":        invalid([]string{Bearer(good + strings.Repeat("A", 20_000))}),
		"other subject":   {"", []string{Bearer(Token("bert"))}, 404, ""},
	}
}

func TestWrongCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	// The same secret for both: it is not the key that distinguishes tokens and tickets.
	s := start(t, "--auth-jwt-secret", TokenSecret+","+TicketSecret, "--ticket-secret", TicketSecret)
	annas(t, s, Token("anna"))
	cases := wrongTokens(Token("anna"))
	maps.Copy(cases, wrongTickets())
	refuseAll(t, s, cases)
}

func TestTheWrongPublicKeyIsRefused(t *testing.T) {
	t.Parallel()
	issuer := NewIssuer()
	t.Cleanup(issuer.Close)
	key := issuer.Add("one", "RS256").(*rsa.PrivateKey)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	another, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, "--auth-jwks-url", issuer.URL, "--ticket-secret", TicketSecret)
	anna := Claims("anna")
	good := Signed(jwt.SigningMethodRS256, key, "one", anna)
	annas(t, s, good)
	invalid := func(method jwt.SigningMethod, key any, claims jwt.MapClaims) wrong {
		return wrong{"", []string{Bearer(Signed(method, key, "one", claims))}, 401, "invalid_token"}
	}
	cases := map[string]wrong{
		"no token":                       {"", nil, 401, `realm="holdfast"`},
		"signed by another key":          invalid(jwt.SigningMethodRS256, another, anna),
		"HS256 with the public key, PEM": invalid(jwt.SigningMethodHS256, public, anna),
		"HS256 with the public key, DER": invalid(jwt.SigningMethodHS256, der, anna),
		"HS256 with the modulus":         invalid(jwt.SigningMethodHS256, key.N.Bytes(), anna),
		"alg none":                       invalid(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, anna),
		"expired":                        invalid(jwt.SigningMethodRS256, key, Claims("anna", map[string]any{"exp": time.Now().Add(-31 * time.Second).Unix()})),
		"other subject":                  {"", []string{Bearer(Signed(jwt.SigningMethodRS256, key, "one", Claims("bert")))}, 404, ""},
	}
	maps.Copy(cases, wrongTickets())
	refuseAll(t, s, cases)
}

// refuseAll makes every attempt with every kind of credentials, and demands that they
// are refused and nothing is stored.
func refuseAll(t *testing.T, s *Server, cases map[string]wrong) {
	t.Helper()
	before, made := listing(t, s.Data), 0
	var running errgroup.Group // t.Run may be called by several at once
	running.SetLimit(16)       // a connection stays for a moment after a refusal
	for name, c := range cases {
		for _, a := range attempts {
			if a.makes && c.want == http.StatusNotFound {
				continue // a token allows uploads of its own
			}
			made++
			running.Go(func() error {
				t.Run(name+"/"+a.name, func(t *testing.T) {
					c.refused(t, s, a, c.want == http.StatusNotFound || strings.HasPrefix(name, "expired"))
				})
				return nil
			})
		}
	}
	_ = running.Wait()
	if after := listing(t, s.Data); !maps.Equal(before, after) {
		t.Errorf("the directory has changed:\n%v\n%v", before, after)
	}
	for _, path := range []string{"", "live", "another"} {
		ask(t, "OPTIONS", s.URL(path), nil, []string{"Origin: https://app.example", "Access-Control-Request-Method: PUT"}, 200)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		ask(t, "GET", "http://"+s.Addr+path, nil, nil, 200)
	}
	if log := s.Log(); strings.Contains(log, "eyJ") {
		t.Error("a token or a ticket is in the log")
	}
	t.Logf("%d requests with %d kinds of wrong credentials", made, len(cases))
}

// refused makes an attempt. The body of a client that is, or was, known is read before the
// refusal.
func (c wrong) refused(t *testing.T, s *Server, a attempt, known bool) {
	t.Helper()
	answer := Answer{}
	if known {
		answer = a.whole(t, s, c.query, c.fields...)
	} else {
		answer = a.make(t, s, c.query, c.fields...)
	}
	want := c.want
	if a.method == "PROPFIND" { // which is no method for any client
		want, c.code = http.StatusMethodNotAllowed, ""
	}
	if answer.Status != want {
		t.Errorf("status %d, want %d: %s", answer.Status, want, answer.Body)
	}
	challenge := answer.Header.Get("WWW-Authenticate")
	if want < 404 && !strings.HasPrefix(challenge, "Bearer ") || !strings.Contains(challenge, c.code) {
		t.Errorf("WWW-Authenticate: %q, want %q in it", challenge, c.code)
	}
	if tus := strings.Join(a.fields, "\n"); strings.Contains(tus, tusVersion) && answer.Header.Get("Tus-Resumable") != "1.0.0" {
		t.Error("the answer to a tus client has no Tus-Resumable")
	}
	if strings.Contains(string(answer.Body), "eyJ") {
		t.Error("the answer repeats a secret")
	}
}

// whole makes the attempt with all of its body.
func (a attempt) whole(t *testing.T, s *Server, query string, fields ...string) Answer {
	t.Helper()
	w := dial(t, s.Addr)
	head := []string{a.method + " /files/" + a.path + query + " HTTP/1.1", "Host: " + s.Addr}
	w.send(append(append(head, a.fields...), fields...)...)
	w.write(strings.Repeat("x", int(a.length())))
	if strings.Contains(strings.Join(a.fields, "\n"), "chunked") {
		w.write(chunked("x") + chunked(""))
	}
	resp, err := http.ReadResponse(w.in, &http.Request{Method: a.method})
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	answer, err := ReadAnswer(resp)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}
