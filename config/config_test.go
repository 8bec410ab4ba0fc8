package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/config"
)

// testEnv is the environment of a test.
type testEnv struct {
	env map[string]string
	out strings.Builder
}

func (w *testEnv) parse(args ...string) (config.Command, error) {
	return config.Parse(args, config.Env{
		Getenv:  func(key string) (string, bool) { v, ok := w.env[key]; return v, ok },
		Stdout:  &w.out,
		Version: "v1.2.3",
	})
}

func writeYAML(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "holdfast.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWithoutSettingsParseReturnsTheDefault(t *testing.T) {
	want := config.Config{
		Listen: ":8080", BasePath: "/files/", GoogleUploads: true, GraphUploads: true, TrustForwarded: true, CORSOrigins: []string{"*"},
		Data: "./data", Fsync: true, S3Checksums: "auto", S3Timeout: 20 * time.Second, BufferMemory: 256 << 20, BufferDisk: 64 << 30, FileMode: 0o640, RedisPrefix: "holdfast:",
		ExpireAfter: 24 * time.Hour, RememberFinished: 7 * 24 * time.Hour, IdleTimeout: time.Minute, LockTimeout: 20 * time.Second, InterimResponses: true, SweepInterval: time.Minute,
		OTLPService: "holdfast", OTLPSample: 1,
		HookEvents: []string{"post-finish"}, HookTimeout: 10 * time.Second, HookRetryInitial: 5 * time.Second,
		HookRetryMaxAge: 24 * time.Hour, HookProgressInterval: time.Second,
		LogFormat: "text", LogLevel: "info", ShutdownTimeout: 30 * time.Second,
		AuthHookTimeout: 5 * time.Second,
	}
	if got := config.Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("Default() = %+v, want %+v", got, want)
	}
	for _, args := range [][]string{nil, {"serve"}} {
		got, err := new(testEnv).parse(args...)
		if err != nil || got.Name != "serve" || !reflect.DeepEqual(got.Config, want) {
			t.Errorf("Parse(%q) = %+v, %v, want the defaults", args, got, err)
		}
	}
}

const (
	secretA = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secretB = "C2FVsBQIhrscChlQIMV+b5sSYspob7oDzEQ0KvQYfTk="
)
const aSecret = "0123456789abcdef0123456789abcdef"

// exclusive are the settings that exclude others, each with those that require it.
var exclusive = [][]string{{"auth-jwks-url"}, {"auth-hook-url", "auth-hook-header"}}

// settings has a non-default value for each setting.
var settings = map[string]struct {
	value string
	set   func(*config.Config)
}{
	"listen":                  {"127.0.0.1:0", func(c *config.Config) { c.Listen = "127.0.0.1:0" }},
	"base-path":               {"up/v1", func(c *config.Config) { c.BasePath = "/up/v1/" }},
	"tls-cert":                {"cert.pem", func(c *config.Config) { c.TLSCert = "cert.pem" }},
	"tls-key":                 {"key.pem", func(c *config.Config) { c.TLSKey = "key.pem" }},
	"google-uploads":          {"false", func(c *config.Config) { c.GoogleUploads = false }},
	"graph-uploads":           {"false", func(c *config.Config) { c.GraphUploads = false }},
	"upload-page":             {"true", func(c *config.Config) { c.UploadPage = true }},
	"trust-forwarded-headers": {"false", func(c *config.Config) { c.TrustForwarded = false }},
	"cors-origin": {"https://a.example,capacitor://localhost", func(c *config.Config) {
		c.CORSOrigins = []string{"https://a.example", "capacitor://localhost"}
	}},
	"public-url":         {"https://up.example/u", func(c *config.Config) { c.PublicURL = "https://up.example/u/" }},
	"cors-expose-header": {"X-Cache,Server-Timing", func(c *config.Config) { c.CORSExposeHeaders = []string{"X-Cache", "Server-Timing"} }},
	"data":               {"/srv/uploads", func(c *config.Config) { c.Data = "/srv/uploads" }},
	"fsync":              {"false", func(c *config.Config) { c.Fsync = false }},
	"key-template":       {"v/{year}/{id}", func(c *config.Config) { c.KeyTemplate = "v/{year}/{id}" }},
	"s3-bucket":          {"b", func(c *config.Config) { c.S3Bucket = "b" }},
	"s3-endpoint":        {"http://s3:9000", func(c *config.Config) { c.S3Endpoint = "http://s3:9000" }},
	"s3-region":          {"eu-central-1", func(c *config.Config) { c.S3Region = "eu-central-1" }},
	"s3-path-style":      {"true", func(c *config.Config) { c.S3PathStyle = true }},
	"s3-prefix":          {"up/", func(c *config.Config) { c.S3Prefix = "up/" }},
	"s3-create-bucket":   {"true", func(c *config.Config) { c.S3CreateBucket = true }},
	"s3-checksums":       {"crc32c", func(c *config.Config) { c.S3Checksums = "crc32c" }},
	"s3-timeout":         {"5s", func(c *config.Config) { c.S3Timeout = 5 * time.Second }},
	"s3-storage-class":   {"STANDARD_IA", func(c *config.Config) { c.S3StorageClass = "STANDARD_IA" }},
	"s3-encryption":      {"aws:kms", func(c *config.Config) { c.S3Encryption = "aws:kms" }},
	"s3-encryption-key":  {"k", func(c *config.Config) { c.S3EncryptionKey = "k" }},
	"s3-presign-ttl":     {"5m", func(c *config.Config) { c.S3PresignTTL = 5 * time.Minute }},
	"s3-public-endpoint": {"https://s3.example", func(c *config.Config) { c.S3PublicEndpoint = "https://s3.example" }},
	"buffer-memory":      {"64MiB", func(c *config.Config) { c.BufferMemory = 64 << 20 }},
	"buffer-disk":        {"2GiB", func(c *config.Config) { c.BufferDisk = 2 << 30 }},
	"file-mode":          {"0644", func(c *config.Config) { c.FileMode = 0o644 }},
	"redis":              {"redis://r:6379/1", func(c *config.Config) { c.Redis = "redis://r:6379/1" }},
	"redis-prefix":       {"x-", func(c *config.Config) { c.RedisPrefix = "x-" }},

	"hook-url": {"https://app.example/hooks", func(c *config.Config) { c.HookURL = "https://app.example/hooks" }},
	"hook-url-override": {"post-finish=https://app.example/done;pre-create=http://b/?a=b", func(c *config.Config) {
		c.HookURLOverride = map[string]string{"post-finish": "https://app.example/done", "pre-create": "http://b/?a=b"}
	}},
	"hook-events":            {"pre-create,post-finish", func(c *config.Config) { c.HookEvents = []string{"pre-create", "post-finish"} }},
	"hook-secret":            {secretA + "," + secretB, func(c *config.Config) { c.HookSecrets = []string{secretA, secretB} }},
	"hook-secret-file":       {"secrets", func(c *config.Config) { c.HookSecretFile = "secrets" }},
	"hook-forward-header":    {"Authorization,X-Tenant", func(c *config.Config) { c.HookForwardHeader = []string{"Authorization", "X-Tenant"} }},
	"hook-timeout":           {"3s", func(c *config.Config) { c.HookTimeout = 3 * time.Second }},
	"hook-retry-initial":     {"1s", func(c *config.Config) { c.HookRetryInitial = time.Second }},
	"hook-retry-max-age":     {"72h", func(c *config.Config) { c.HookRetryMaxAge = 72 * time.Hour }},
	"hook-progress-interval": {"5s", func(c *config.Config) { c.HookProgressInterval = 5 * time.Second }},
	"hook-ca":                {"ca.pem", func(c *config.Config) { c.HookCA = "ca.pem" }},
	"hook-client-cert":       {"me.pem", func(c *config.Config) { c.HookClientCert = "me.pem" }},
	"hook-client-key":        {"me.key", func(c *config.Config) { c.HookClientKey = "me.key" }},
	"auth-jwt-secret":        {aSecret, func(c *config.Config) { c.AuthJWTSecrets = []string{aSecret} }},
	"auth-jwt-secret-file":   {"/run/jwt", func(c *config.Config) { c.AuthJWTSecretFiles = []string{"/run/jwt"} }},
	"auth-jwks-url":          {"https://app.example/keys", func(c *config.Config) { c.AuthJWKSURL = "https://app.example/keys" }},
	"auth-jwt-issuer":        {"https://app.example", func(c *config.Config) { c.AuthJWTIssuer = "https://app.example" }},
	"auth-jwt-audience":      {"uploads", func(c *config.Config) { c.AuthJWTAudience = "uploads" }},
	"auth-hook-url":          {"http://app/auth", func(c *config.Config) { c.AuthHookURL = "http://app/auth" }},
	"auth-hook-header":       {"X-Key,X-Team", func(c *config.Config) { c.AuthHookHeaders = []string{"X-Key", "X-Team"} }},
	"auth-hook-timeout":      {"1s", func(c *config.Config) { c.AuthHookTimeout = time.Second }},
	"ticket-secret":          {aSecret, func(c *config.Config) { c.TicketSecrets = []string{aSecret} }},
	"ticket-secret-file":     {"/run/ticket", func(c *config.Config) { c.TicketSecretFiles = []string{"/run/ticket"} }},
	"ticket-ttl":             {"168h", func(c *config.Config) { c.TicketTTL = 7 * 24 * time.Hour }},
	"cors-credentials":       {"true", func(c *config.Config) { c.CORSCredentials = true }},

	"limit-uploads-per-minute": {"30", func(c *config.Config) { c.LimitUploadsPerMinute = 30 }},
	"limit-incomplete-uploads": {"100", func(c *config.Config) { c.LimitIncompleteUploads = 100 }},
	"limit-bytes-per-day":      {"50GiB", func(c *config.Config) { c.LimitBytesPerDay = 50 << 30 }},

	"max-size":          {"2GiB", func(c *config.Config) { c.MaxSize = 2 << 30 }},
	"expire-after":      {"0", func(c *config.Config) { c.ExpireAfter = 0 }},
	"remember-finished": {"720h", func(c *config.Config) { c.RememberFinished = 30 * 24 * time.Hour }},
	"idle-timeout":      {"250ms", func(c *config.Config) { c.IdleTimeout = 250 * time.Millisecond }},
	"lock-timeout":      {"5s", func(c *config.Config) { c.LockTimeout = 5 * time.Second }},
	"interim-responses": {"false", func(c *config.Config) { c.InterimResponses = false }},
	"sweep-interval":    {"1h30m", func(c *config.Config) { c.SweepInterval = 90 * time.Minute }},
	"admin-listen":      {"127.0.0.1:9090", func(c *config.Config) { c.AdminListen = "127.0.0.1:9090" }},
	"admin-host":        {"a.example,b.example", func(c *config.Config) { c.AdminHosts = []string{"a.example", "b.example"} }},
	"otlp-endpoint":     {"http://collector:4318", func(c *config.Config) { c.OTLPEndpoint = "http://collector:4318" }},
	"otlp-service":      {"uploads", func(c *config.Config) { c.OTLPService = "uploads" }},
	"otlp-sample":       {"0.25", func(c *config.Config) { c.OTLPSample = 0.25 }},
	"log-format":        {"json", func(c *config.Config) { c.LogFormat = "json" }},
	"log-level":         {"debug", func(c *config.Config) { c.LogLevel = "debug" }},
	"shutdown-timeout":  {"2m", func(c *config.Config) { c.ShutdownTimeout = 2 * time.Minute }},
}

func TestEverySettingIsAFlagAVariableAndAKey(t *testing.T) {
	if n := reflect.TypeFor[config.Config]().NumField(); n != len(settings) {
		t.Fatalf("Config has %d settings, this test knows %d", n, len(settings))
	}
	var most []string
	for name := range settings {
		if !slices.Contains(slices.Concat(exclusive...), name) {
			most = append(most, name)
		}
	}
	wantEverywhere(t, most...)
	for _, names := range exclusive {
		wantEverywhere(t, names...)
	}
}

// wantEverywhere checks that the settings can be set in every source.
func wantEverywhere(t *testing.T, names ...string) {
	t.Helper()
	want := config.Default()
	var args, lines []string
	env := map[string]string{}
	for _, name := range names {
		s := settings[name]
		s.set(&want)
		args = append(args, "--"+name+"="+s.value)
		env[variable(name)] = s.value
		lines = append(lines, name+": "+s.value)
	}
	byFile := []string{"--config", writeYAML(t, strings.Join(lines, "\n"))}
	for place, parse := range map[string]func() (config.Command, error){
		"flags":              func() (config.Command, error) { return new(testEnv).parse(args...) },
		"flags before serve": func() (config.Command, error) { return new(testEnv).parse(append(args, "serve")...) },
		"environment":        func() (config.Command, error) { return (&testEnv{env: env}).parse() },
		"file":               func() (config.Command, error) { return new(testEnv).parse(byFile...) },
	} {
		got, err := parse()
		if err != nil || !reflect.DeepEqual(got.Config, want) {
			t.Errorf("%s: %+v, %v, want %+v", place, got.Config, err, want)
		}
	}
}

func TestFlagWinsOverEnvironmentWinsOverFile(t *testing.T) {
	path := writeYAML(t, "max-size: 1000\nlisten: ':1'\nlog-level: warn\ncors-origin: [https://file.example, 'https://*.file.example']\n")
	w := &testEnv{env: map[string]string{
		"HOLDFAST_CONFIG":   path,
		"HOLDFAST_MAX_SIZE": "2000",
		"HOLDFAST_LISTEN":   ":2",
	}}
	got, err := w.parse("--max-size=3000")
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.MaxSize, want.Listen, want.LogLevel = 3000, ":2", "warn"
	want.CORSOrigins = []string{"https://file.example", "https://*.file.example"}
	if !reflect.DeepEqual(got.Config, want) {
		t.Errorf("got %+v, want %+v", got.Config, want)
	}
}

func TestConfigFlagWinsOverVariable(t *testing.T) {
	w := &testEnv{env: map[string]string{"HOLDFAST_CONFIG": writeYAML(t, "max-size: 1")}}
	got, err := w.parse("--config", writeYAML(t, "max-size: 2"))
	if err != nil || got.Config.MaxSize != 2 {
		t.Errorf("max-size is %d, %v, want 2", got.Config.MaxSize, err)
	}
}

func TestSwitchesCanBeNegated(t *testing.T) {
	got, err := new(testEnv).parse("--no-fsync", "--no-trust-forwarded-headers")
	if err != nil || got.Config.Fsync || got.Config.TrustForwarded {
		t.Errorf("got %+v, %v", got.Config, err)
	}
	w := &testEnv{env: map[string]string{"HOLDFAST_FSYNC": "false"}}
	if got, err := w.parse("--fsync"); err != nil || !got.Config.Fsync {
		t.Errorf("--fsync does not win over the environment: %+v, %v", got.Config, err)
	}
}

func TestEmptyOriginTurnsCORSOff(t *testing.T) {
	none := &testEnv{env: map[string]string{"HOLDFAST_CORS_ORIGIN": ""}}
	for place, parse := range map[string]func() (config.Command, error){
		"flag":        func() (config.Command, error) { return new(testEnv).parse("--cors-origin=") },
		"environment": func() (config.Command, error) { return none.parse() },
		"file":        func() (config.Command, error) { return new(testEnv).parse("--config", writeYAML(t, "cors-origin: []")) },
	} {
		if got, err := parse(); err != nil || len(got.Config.CORSOrigins) != 0 {
			t.Errorf("%s: %q, %v", place, got.Config.CORSOrigins, err)
		}
	}
	got, err := new(testEnv).parse("--cors-origin=https://a.example", "--cors-origin=https://b.example")
	if err != nil || len(got.Config.CORSOrigins) != 2 {
		t.Errorf("given twice: %q, %v", got.Config.CORSOrigins, err)
	}
}

// Each invalid value is rejected with the name of the setting and the values allowed, from
// every source.
func TestInvalidValueIsRejectedByName(t *testing.T) {
	for _, c := range []struct{ name, value, allowed string }{
		{"listen", "8080", "host:port"},
		{"listen", ":http", "0 to 65535"},
		{"listen", ":65536", "0 to 65535"},
		{"listen", "", "host:port"},
		{"base-path", "/a/../b/", "/files/"},
		{"base-path", "https://x.example/files/", "/files/"},
		{"base-path", "/a b/", "/files/"},
		{"google-uploads", "perhaps", "true"},
		{"graph-uploads", "perhaps", "true"},
		{"upload-page", "perhaps", "true"},
		{"trust-forwarded-headers", "perhaps", "true"},
		{"cors-origin", "app.example.com", "scheme://host"},
		{"cors-origin", "https://app.example.com/", "no path"},
		{"cors-origin", "https://*.*.example.com", "at most one *"},
		{"cors-origin", "https://*", "subdomains of one domain"},
		{"cors-origin", "https://*.com", "subdomains of one domain"},
		{"cors-origin", "https://app*.example.com", "subdomains of one domain"},
		{"cors-origin", "https://app.*.example.com", "subdomains of one domain"},
		{"cors-origin", "https://*example.com", "subdomains of one domain"},
		{"cors-origin", "https://app.example.com:*", "is not an origin"},
		{"cors-origin", "*://app.example.com", "is not an origin"},
		{"data", "", "directory"},
		{"fsync", "maybe", "false"},
		{"s3-endpoint", "minio:9000", "http://, https://"},
		{"redis", "http://redis", "redis://, rediss://, unix://"},
		{"redis", "redis://localhost", "without --s3-bucket"},
		{"buffer-memory", "1000", "1MiB"},
		{"public-url", "up.example.com/files/", "not a URL"},
		{"public-url", "https://up.example.com/files/?a=b", "not a URL"},
		{"public-url", "https://user@up.example.com/files/", "not a URL"},
		{"public-url", "https://up.example.com/../", "not a URL"},
		{"cors-expose-header", "X: y", "not the name of a header"},
		{"file-mode", "0888", "octal"},
		{"file-mode", "0240", "read"},
		{"file-mode", "04755", "octal"},
		{"file-mode", "rw-r-----", "octal"},
		{"max-size", "2 parsecs", "GiB"},
		{"max-size", "-1", "GiB"},
		{"max-size", "", "GiB"},
		{"expire-after", "-1s", "0 or more"},
		{"expire-after", "3 days", "24h"},
		{"idle-timeout", "0", "more than 0"},
		{"idle-timeout", "60", "30s"},
		{"lock-timeout", "-5s", "more than 0"},
		{"admin-listen", "9090", "host:port"},
		{"otlp-endpoint", "collector:4318", "http://"},
		{"otlp-endpoint", "grpc://collector:4317", "http://"},
		{"otlp-service", "", "is empty"},
		{"otlp-sample", "1.1", "0 to 1"},
		{"otlp-sample", "-0.1", "0 to 1"},
		{"otlp-sample", "NaN", "0 to 1"},
		{"otlp-sample", "half", "half"},
		{"sweep-interval", "0s", "more than 0"},
		{"hook-url", "app.example", "http://, https://"},
		{"hook-url", "ftp://app.example/", "http://, https://"},
		{"hook-url-override", "post-finish=app.example", "post-finish is not a URL"},
		{"hook-url-override", "post-create=http://app.example", "not in --hook-events"},
		{"hook-events", "post-finnish", "post-finish"},
		{"hook-secret", "aGVsbG8=", "24 to 64 bytes"},
		{"hook-secret", "whsec_%%%", "base64"},
		{"hook-forward-header", "X Tenant", "not the name of a header"},
		{"hook-timeout", "0", "more than 0"},
		{"hook-retry-initial", "0", "more than 0"},
		{"hook-retry-max-age", "1s", "less than --hook-retry-initial"},
		{"hook-progress-interval", "-1s", "0 or more"},
		{"log-format", "xml", "text, json"},
		{"log-level", "loud", "debug, info, warn, error"},
		{"shutdown-timeout", "0", "more than 0"},
	} {
		variable := variable(c.name)
		path := writeYAML(t, c.name+": '"+c.value+"'")

		_, err := new(testEnv).parse("--" + c.name + "=" + c.value)
		wantError(t, err, "--"+c.name, c.allowed)
		_, err = (&testEnv{env: map[string]string{variable: c.value}}).parse()
		wantError(t, err, "--"+c.name, variable, c.allowed)
		_, err = new(testEnv).parse("serve", "--config", path)
		wantError(t, err, "--"+c.name, c.name+" in "+path, c.allowed)
	}
}

func TestCertificateNeedsItsKey(t *testing.T) {
	_, err := new(testEnv).parse("--tls-cert=c.pem")
	wantError(t, err, "--tls-key", "--tls-cert")
	_, err = new(testEnv).parse("--tls-key=k.pem")
	wantError(t, err, "--tls-cert", "--tls-key")
}

func TestAllInvalidValuesAreReportedTogether(t *testing.T) {
	_, err := new(testEnv).parse("--log-level=loud", "--idle-timeout=0s")
	wantError(t, err, "--log-level", "--idle-timeout")
}

func TestInvalidFileIsRejected(t *testing.T) {
	for _, c := range []struct{ yaml, names, allowed string }{
		{"max_size: 5", `"max_size"`, "max-size"},
		{"zeta: 1\nalpha: 2", `"alpha", "zeta"`, "base-path"},
		{"config: x.yaml", `"config"`, "listen"},
		{"max-size:", "--max-size", "no value"},
		{"listen: [':1', ':2']", "--listen", "not a list"},
		{"max-size: {a: 1}", "--max-size", "plain value"},
		{"cors-origin: [{a: 1}]", "--cors-origin", "plain value"},
		{"listen: ':1'\nlisten: ':2'", "--config", "already defined"},
		{"listen: ':1'\n---\nlisten: ':2'", "--config", "more than one"},
		{"- listen", "--config", "holdfast.yaml"},
		{"listen: 'unclosed", "--config", "holdfast.yaml"},
	} {
		_, err := new(testEnv).parse("--config", writeYAML(t, c.yaml))
		wantError(t, err, c.names, c.allowed)
	}
	_, err := new(testEnv).parse("--config", "does/not/exist.yaml")
	wantError(t, err, "--config", "does/not/exist.yaml")
	_, err = (&testEnv{env: map[string]string{"HOLDFAST_CONFIG": "does/not/exist.yaml"}}).parse()
	wantError(t, err, "HOLDFAST_CONFIG", "does/not/exist.yaml")
}

func TestEmptyFileSetsNothing(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "{}"} {
		got, err := new(testEnv).parse("--config", writeYAML(t, text))
		if err != nil || !reflect.DeepEqual(got.Config, config.Default()) {
			t.Errorf("%q: %+v, %v", text, got.Config, err)
		}
	}
}

func TestUnknownFlagAndCommandAreRejected(t *testing.T) {
	_, err := new(testEnv).parse("--max-sise=5")
	wantError(t, err, "--max-sise", "--max-size")
	_, err = new(testEnv).parse("sevre")
	wantError(t, err, "sevre")
	_, err = new(testEnv).parse("serve", "upload.bin")
	wantError(t, err, "upload.bin")
}

// wantError checks that err is not nil and that its message contains all of the words.
func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil || errors.Is(err, config.ErrPrinted) {
		t.Errorf("got %v, want an error with %q", err, words)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the message %q does not say %q", err, word)
		}
	}
}

func TestHelpListsEverySetting(t *testing.T) {
	defaults := map[string]string{
		"listen": ":8080", "base-path": "/files/", "google-uploads": "on", "graph-uploads": "on", "trust-forwarded-headers": "on", "cors-origin": "*",
		"data": "./data", "fsync": "on", "max-size": "0", "expire-after": "24h", "idle-timeout": "60s",
		"lock-timeout": "20s", "sweep-interval": "1m", "otlp-service": "holdfast", "otlp-sample": "1", "log-format": "text", "log-level": "info", "shutdown-timeout": "30s",
		"tls-cert": "", "tls-key": "",
	}
	for _, args := range [][]string{{"--help"}, {"-h"}, {"serve", "--help"}, {"--listen", ":1", "--help"}} {
		w := new(testEnv)
		if _, err := w.parse(args...); !errors.Is(err, config.ErrPrinted) {
			t.Fatalf("%q: %v", args, err)
		}
		help := w.out.String()
		for _, text := range []string{"Usage: holdfast", "HOLDFAST_MAX_SIZE", "\nListening:\n", "\nStorage:\n", "\nUploads:\n",
			"\nObservability:\n", "\nLogging and life cycle:\n", "\nExamples:\n  holdfast --listen"} {
			if !strings.Contains(help, text) {
				t.Errorf("%q: %q is missing", args, text)
			}
		}
		for name := range settings {
			if text := helpOf(help, name); text == "" || defaults[name] != "" && !strings.Contains(text, "(default "+defaults[name]+")") {
				t.Errorf("%q: --%s is described as %q", args, name, text)
			}
		}
	}
}

// helpOf returns the help text of a flag on one line.
func helpOf(help, name string) string {
	for _, item := range strings.Split(help, "\n  --") {
		flag, text, _ := strings.Cut(strings.Replace(item, "\n", " ", 1), " ")
		flag, _, _ = strings.Cut(strings.TrimPrefix(flag, "[no-]"), "=")
		if flag == name {
			return strings.Join(strings.Fields(text), " ")
		}
	}
	return ""
}

func TestHelpNeedsNoValidConfiguration(t *testing.T) {
	w := &testEnv{env: map[string]string{"HOLDFAST_CONFIG": "does/not/exist.yaml", "HOLDFAST_MAX_SIZE": "huge"}}
	if _, err := w.parse("--help"); !errors.Is(err, config.ErrPrinted) {
		t.Errorf("got %v", err)
	}
}

func TestVersionIsPrinted(t *testing.T) {
	w := new(testEnv)
	_, err := w.parse("--version")
	if !errors.Is(err, config.ErrPrinted) || w.out.String() != "holdfast v1.2.3\n" {
		t.Errorf("printed %q, %v", w.out.String(), err)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]config.Size{
		"0": 0, "1": 1, "1048576": 1 << 20, " 7 ": 7, "9b": 9,
		"500MB": 500e6, "3kb": 3000, "1GB": 1e9, "2TB": 2e12,
		"2GiB": 2 << 30, "2gib": 2 << 30, "2 GiB": 2 << 30, "1KiB": 1024, "64MiB": 64 << 20, "5TiB": 5 << 40,
		"9223372036854775807": 1<<63 - 1, "8388607TiB": 8388607 << 40,
	} {
		var got config.Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q is %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "B", "GiB", "-1", "+1", "1.5GiB", "1e9", "1K", "1M", "1 G", "0x10", "1_000", "1GiB2",
		"9223372036854775808", "8388608TiB", "9223373TB"} {
		got := config.Size(42)
		if err := got.UnmarshalText([]byte(text)); err == nil || got != 42 {
			t.Errorf("%q is parsed as %d", text, got)
		}
	}
}

func TestHealthUsesTheListenAddress(t *testing.T) {
	w := &testEnv{env: map[string]string{"HOLDFAST_LISTEN": "127.0.0.1:9", "HOLDFAST_MAX_SIZE": "5GiB"}}
	got, err := w.parse("health")
	if err != nil || got.Name != "health" || got.Config.Listen != "127.0.0.1:9" {
		t.Errorf("%+v, %v", got, err)
	}
	path := writeYAML(t, "listen: ':7'\nmax-size: 5GiB\n")
	if got, err = new(testEnv).parse("health", "--config", path); err != nil || got.Config.Listen != ":7" {
		t.Errorf("by file: %+v, %v", got, err)
	}
}
