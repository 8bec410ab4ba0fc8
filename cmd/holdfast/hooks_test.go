package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/config"
	"github.com/holdfast-upload/holdfast/hooks/webhook"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/test/servers"
)

// tusdBackend is an app written only from tusd's documentation of its hooks.
type tusdBackend struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	answer   func(hookType string, upload map[string]any) string // JSON, or "" for 502
	received []map[string]any
}

func startBackend(t *testing.T, answer func(string, map[string]any) string) *tusdBackend {
	b := &tusdBackend{t: t, answer: answer}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

func (b *tusdBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	var hook struct {
		Type  string
		Event map[string]any
	}
	if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || json.Unmarshal(text, &hook) != nil {
		b.t.Errorf("not a hook: %s %v %s", r.Method, r.Header, text)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	upload, _ := hook.Event["Upload"].(map[string]any)
	b.received = append(b.received, map[string]any{"Type": hook.Type, "Upload": upload, "HTTPRequest": hook.Event["HTTPRequest"]})
	answer := b.answer(hook.Type, upload)
	if answer == "" {
		http.Error(w, "down for maintenance", http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, answer)
}

// of returns the hooks of a type that were received.
func (b *tusdBackend) of(hookType string) []map[string]any {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []map[string]any
	for _, h := range b.received {
		if h["Type"] == hookType {
			found = append(found, h)
		}
	}
	return found
}

func (b *tusdBackend) change(answer func(string, map[string]any) string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = answer
}

func respond(answer string) func(string, map[string]any) string {
	return func(string, map[string]any) string { return answer }
}

// hooked starts a Server whose app is b.
func hooked(t *testing.T, b *tusdBackend, events ...string) *running {
	t.Helper()
	return startHooked(t, hookedConfig(t, b, events...))
}

// startHooked starts a Server that is shut down before the test ends, so that it sends all
// hooks before.
func startHooked(t *testing.T, cfg config.Config) *running {
	t.Helper()
	r := start(t, cfg, nil)
	t.Cleanup(func() { r.stop(t) })
	return r
}

func hookedConfig(t *testing.T, b *tusdBackend, events ...string) config.Config {
	cfg := testConfig(t)
	cfg.HookURL, cfg.HookEvents, cfg.AdminListen = b.URL+"/hooks", events, "127.0.0.1:0"
	cfg.HookRetryInitial, cfg.HookTimeout = 20*time.Millisecond, 10*time.Second
	return cfg
}

var tusCreate = []string{"Tus-Resumable", "1.0.0", "Upload-Length", "5", "Upload-Metadata", "filename aG9saWRheS5tcDQ="}

var tusPatch = []string{"Tus-Resumable", "1.0.0", "Upload-Offset", "0", "Content-Type", "application/offset+octet-stream"}

// creations create an upload of 5 bytes with each protocol.
var creations = map[string]func(t *testing.T, r *running) answer{
	"tus": func(t *testing.T, r *running) answer { return do(t, h1(t), "POST", r.URL(), nil, tusCreate...) },
	"tus with the bytes": func(t *testing.T, r *running) answer {
		return do(t, h1(t), "POST", r.URL(), strings.NewReader("bytes"), append([]string{"Content-Type", "application/offset+octet-stream"}, tusCreate...)...)
	},
	"PUT": func(t *testing.T, r *running) answer {
		return do(t, h1(t), "PUT", r.URL()+"photo", strings.NewReader("bytes"))
	},
}

func TestARejectionByTheAppIsTheResponseInEveryProtocol(t *testing.T) {
	for name, create := range creations {
		b := startBackend(t, respond(`{"RejectUpload":true,"HTTPResponse":{"StatusCode":402,"Body":"{\"pay\":\"more\"}",
			"Header":{"Content-Type":"application/json","X-Quota":"0","X-Evil":"a\r\nSet-Cookie: b=c","Content-Length":"9999"}}}`))
		r := hooked(t, b, "pre-create")
		a := create(t, r)
		if a.StatusCode != http.StatusPaymentRequired || string(a.body) != `{"pay":"more"}` || a.Header.Get("X-Quota") != "0" ||
			a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Set-Cookie") != "" || a.Header.Get("X-Evil") != "" {
			t.Errorf("%s: %s %v %q", name, a.Status, a.Header, a.body)
		}
		if a.Header.Get("Location") != "" || len(b.of("pre-create")) != 1 {
			t.Errorf("%s: asked %d times, Location %q", name, len(b.of("pre-create")), a.Header.Get("Location"))
		}
		if a := do(t, h1(t), "GET", r.URL()+"photo", nil); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: the rejected upload: %s", name, a.Status)
		}
	}
}

// The app's response reaches the client in every protocol, as in tusd.
func TestTheAppMayOverrideTheResponse(t *testing.T) {
	for name, create := range creations {
		b := startBackend(t, func(hookType string, _ map[string]any) string {
			return `{"HTTPResponse":{"StatusCode":203,"Body":"from ` + hookType + `","Header":{"X-` + hookType + `":"yes","X-Evil":"a\r\nb: c"}}}`
		})
		r := hooked(t, b, "pre-create", "pre-finish")
		a := create(t, r)
		if name == "tus" {
			if a.StatusCode != 203 || string(a.body) != "from pre-create" {
				t.Errorf("%s: created: %s %q", name, a.Status, a.body)
			}
			a = do(t, h1(t), "PATCH", a.Header.Get("Location"), strings.NewReader("bytes"), tusPatch...)
		} else if a.Header.Get("X-Pre-Create") != "yes" {
			t.Errorf("%s: %v", name, a.Header)
		}
		if a.StatusCode != 203 || string(a.body) != "from pre-finish" || a.Header.Get("X-Pre-Finish") != "yes" || a.Header.Get("X-Evil") != "" {
			t.Errorf("%s: %s %v %q", name, a.Status, a.Header, a.body)
		}
		if got := do(t, h1(t), "GET", r.URL()+"photo", nil); name == "PUT" && string(got.body) != "bytes" {
			t.Errorf("%s: the file is %q", name, got.body)
		}
	}
}

func TestWithoutTheAppsResponseNothingIsCreated(t *testing.T) {
	for name, create := range creations {
		b := startBackend(t, respond(""))
		r := hooked(t, b, "pre-create")
		if a := create(t, r); a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %s %v %s", name, a.Status, a.Header, a.body)
		}
		if a := do(t, h1(t), "GET", r.URL()+"photo", nil); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: it was created: %s", name, a.Status)
		}
		b.change(respond("{}"))
		if a := create(t, r); a.StatusCode != http.StatusCreated {
			t.Errorf("%s: once the app responds: %s %s", name, a.Status, a.body)
		}
	}
}

func TestABackendMadeForTusdWorks(t *testing.T) {
	b := startBackend(t, func(hookType string, upload map[string]any) string {
		if hookType == "pre-create" {
			return `{"HTTPResponse":{"StatusCode":201},"ChangeFileInfo":{"ID":"made-by-app","MetaData":{"filename":"renamed.mp4"}}}`
		}
		return "{}"
	})
	r := hooked(t, b, "pre-create", "post-create", "post-receive", "pre-finish", "post-finish", "post-terminate")
	a := do(t, h1(t), "POST", r.URL(), nil, tusCreate...)
	if a.StatusCode != http.StatusCreated || a.Header.Get("Location") != r.URL()+"made-by-app" {
		t.Fatalf("created: %s %v %s", a.Status, a.Header, a.body)
	}
	if a = do(t, h1(t), "PATCH", r.URL()+"made-by-app", strings.NewReader("bytes"), tusPatch...); a.StatusCode != http.StatusNoContent {
		t.Fatalf("filled: %s %s", a.Status, a.body)
	}
	eventually(t, "post-finish", func() bool { return len(b.of("post-finish")) == 1 })
	if a = do(t, h1(t), "DELETE", r.URL()+"made-by-app", nil, "Tus-Resumable", "1.0.0"); a.StatusCode != http.StatusNoContent {
		t.Fatalf("removed: %s %s", a.Status, a.body)
	}
	for _, hookType := range webhook.Events {
		eventually(t, hookType, func() bool { return len(b.of(hookType)) == 1 })
	}
	finished := b.of("post-finish")[0]
	upload, request := finished["Upload"].(map[string]any), finished["HTTPRequest"].(map[string]any)
	place := upload["Storage"].(map[string]any)
	if place["Type"] != "filestore" || place["Path"] != filepath.Join(r.cfg.Data, "made-by-app") {
		t.Errorf("stored at %v", place)
	}
	if request["Method"] != "PATCH" || request["URI"] != "/files/made-by-app" || request["RemoteAddr"] == "" ||
		request["Header"].(map[string]any)["Host"].([]any)[0] != r.listener.Addr().String() {
		t.Errorf("by the request %v", request)
	}
	if name := upload["MetaData"].(map[string]any)["filename"]; name != "renamed.mp4" || upload["ID"] != "made-by-app" || upload["Offset"] != 5.0 {
		t.Errorf("post-finish has the upload %v", upload)
	}
}

func TestAnUploadRejectedByPreFinishIsNoFileUntilItIsAccepted(t *testing.T) {
	b := startBackend(t, respond(`{"RejectUpload":true,"HTTPResponse":{"StatusCode":422,"Body":"not a video"}}`))
	r := hooked(t, b, "pre-finish", "post-finish")
	url := do(t, h1(t), "POST", r.URL(), nil, tusCreate...).Header.Get("Location")
	for name, ask := range map[string]func() answer{
		"PATCH": func() answer { return do(t, h1(t), "PATCH", url, strings.NewReader("bytes"), tusPatch...) },
		"PUT":   func() answer { return do(t, h1(t), "PUT", r.URL()+"photo", strings.NewReader("bytes")) },
		"GET":   func() answer { return do(t, h1(t), "GET", r.URL()+"photo", nil) },
	} {
		if name == "GET" {
			do(t, h1(t), "PUT", r.URL()+"photo", strings.NewReader("bytes"))
		}
		if a := ask(); a.StatusCode != 422 || string(a.body) != "not a video" {
			t.Errorf("%s: %s %q", name, a.Status, a.body)
		}
	}
	if _, err := os.Stat(filepath.Join(r.cfg.Data, "photo")); !os.IsNotExist(err) {
		t.Errorf("there is a file: %v", err)
	}
	b.change(respond("{}"))
	if a := do(t, h1(t), "GET", r.URL()+"photo", nil); a.StatusCode != http.StatusOK || string(a.body) != "bytes" {
		t.Errorf("accepted: %s %q", a.Status, a.body)
	}
	if a := do(t, h1(t), "HEAD", url, nil, "Tus-Resumable", "1.0.0"); a.StatusCode != http.StatusOK || a.Header.Get("Upload-Offset") != "5" {
		t.Errorf("accepted: %s", a.Status)
	}
	eventually(t, "post-finish of both", func() bool { return len(b.of("post-finish")) == 2 })
}

// On S3 a small file is completed with its first request, unless pre-finish is configured.
func TestOnS3NothingIsAFileBeforeTheAppAccepts(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", servers.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", servers.SecretKey)
	b := startBackend(t, respond(`{"RejectUpload":true}`))
	cfg := hookedConfig(t, b, "pre-create", "pre-finish", "post-finish")
	cfg.S3Bucket, cfg.S3Endpoint, cfg.S3PathStyle, cfg.S3CreateBucket = "uploads", servers.S3(t).URL("http"), true, true
	cfg.S3Prefix = "in/"
	b.change(func(hookType string, _ map[string]any) string {
		return map[string]string{"pre-create": `{"ChangeFileInfo":{"Storage":{"Key":"users/7/photo"}}}`}[hookType] +
			map[string]string{"pre-finish": `{"RejectUpload":true}`}[hookType]
	})
	r := startHooked(t, cfg)
	there := func() bool {
		up, err := r.options.Store.Load(t.Context(), "photo")
		return err == nil && up.Finished
	}
	if a := do(t, h1(t), "PUT", r.URL()+"photo", strings.NewReader("bytes")); a.StatusCode != http.StatusBadRequest || there() {
		t.Errorf("rejected: %s %s, and the file is there: %t", a.Status, a.body, there())
	}
	b.change(respond("{}"))
	if a := do(t, h1(t), "GET", r.URL()+"photo", nil); a.StatusCode != http.StatusOK || string(a.body) != "bytes" || !there() {
		t.Errorf("accepted: %s %s", a.Status, a.body)
	}
	eventually(t, "post-finish", func() bool { return len(b.of("post-finish")) > 0 })
	upload := b.of("post-finish")[0]["Upload"].(map[string]any)
	if got, want := upload["Storage"], map[string]any{"Type": "s3store", "Bucket": "uploads", "Key": "in/users/7/photo", "CRC32C": crc32c.Of([]byte("bytes")).String()}; !reflect.DeepEqual(got, want) {
		t.Errorf("stored at %v, want %v", got, want)
	}
}

func TestTheAppStopsAnUpload(t *testing.T) {
	b := startBackend(t, respond(`{"StopUpload":true}`))
	r := hooked(t, b, "post-receive")
	do(t, h1(t), "PUT", r.URL()+"photo", strings.NewReader("bytes"), "Content-Range", "bytes 0-4/10")
	eventually(t, "it is gone", func() bool { return do(t, h1(t), "GET", r.URL()+"photo", nil).StatusCode == http.StatusGone })
}

func TestASlowAppDelaysNoUpload(t *testing.T) {
	release := make(chan struct{})
	b := startBackend(t, func(string, map[string]any) string { <-release; return "{}" })
	defer close(release)
	r := hooked(t, b, "post-create", "post-receive", "post-finish", "post-terminate")
	began := time.Now()
	for range 50 {
		if a := creations["tus with the bytes"](t, r); a.StatusCode != http.StatusCreated {
			t.Fatalf("%s %s", a.Status, a.body)
		}
	}
	if took := time.Since(began); took > r.cfg.HookTimeout {
		t.Errorf("50 small uploads took %v", took)
	}
}

func TestInvalidHookSettingsFailAtStart(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("neither a secret nor a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for flag, set := range map[string]func(*config.Config){
		"--hook-secret-file": func(c *config.Config) { c.HookSecretFile = bad },
		"no/such":            func(c *config.Config) { c.HookSecretFile = "no/such/file" },
		"--hook-ca":          func(c *config.Config) { c.HookCA = bad },
		"--hook-client-cert": func(c *config.Config) { c.HookClientCert, c.HookClientKey = bad, bad },
		"--admin-listen":     func(c *config.Config) { c.AdminListen = "192.0.2.1:1" },
	} {
		cfg := testConfig(t)
		cfg.HookURL = "http://app.example"
		set(&cfg)
		s, err := Open(cfg, slog.New(slog.DiscardHandler))
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), flag) || strings.Contains(err.Error(), "neither a secret") {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

func TestSecretsMayComeFromAFile(t *testing.T) {
	const one, two = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "C2FVsBQIhrscChlQIMV+b5sSYspob7oDzEQ0KvQYfTk="
	cfg := testConfig(t)
	cfg.HookSecrets, cfg.HookSecretFile = []string{one}, filepath.Join(t.TempDir(), "secrets")
	if err := os.WriteFile(cfg.HookSecretFile, []byte(two+"\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := config.HookSecrets(cfg); err != nil || strings.Join(got, " ") != one+" "+two {
		t.Errorf("%v", err)
	}
}

// config allows exactly the hooks that exist.
func TestEveryHookCanBeSet(t *testing.T) {
	none := func(string) (string, bool) { return "", false }
	parse := func(events string) error {
		_, err := config.Parse([]string{"--hook-url=http://a", "--hook-events=" + events}, config.Env{Getenv: none, Stdout: io.Discard})
		return err
	}
	if err := parse(strings.Join(webhook.Events, ",")); err != nil {
		t.Error(err)
	}
	if err := parse("pre-terminate"); err == nil {
		t.Error("a hook that does not exist is accepted")
	}
}
