package config_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/config"
)

// checked returns the lines of config check, by setting, with single spaces.
func checked(t *testing.T, w *testEnv, args ...string) map[string]string {
	t.Helper()
	command, err := w.parse(append([]string{"config", "check"}, args...)...)
	if err != nil || command.Name != "config check" {
		t.Fatalf("%q, %v", command.Name, err)
	}
	var out strings.Builder
	if err := config.WriteSettings(&out, command.Settings); err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for line := range strings.Lines(out.String()) {
		fields := strings.Fields(line)
		lines[fields[0]] = strings.Join(fields[1:], " ")
	}
	if len(lines) != len(settings) {
		t.Errorf("%d settings are printed of %d", len(lines), len(settings))
	}
	return lines
}

func TestConfigCheckPrintsValuesAndTheirOrigin(t *testing.T) {
	file := writeYAML(t, "max-size: 5368709120\nsweep-interval: 90s\ncors-origin: [https://a.example, https://b.example]\nhook-url: https://app.example/hook\n")
	w := &testEnv{env: map[string]string{"HOLDFAST_BASE_PATH": "up", "HOLDFAST_SWEEP_INTERVAL": "2m", "HOLDFAST_CONFIG": file}}
	lines := checked(t, w, "--listen", "127.0.0.1:0", "--no-fsync", "--hook-url-override", "post-finish=https://app.example/done")
	for name, want := range map[string]string{
		"listen":            "127.0.0.1:0 --listen",
		"fsync":             "false --fsync",
		"base-path":         "/up/ HOLDFAST_BASE_PATH",
		"sweep-interval":    "2m0s HOLDFAST_SWEEP_INTERVAL",
		"max-size":          "5GiB max-size in " + file,
		"cors-origin":       "https://a.example,https://b.example cors-origin in " + file,
		"hook-url-override": "post-finish=https://app.example/done --hook-url-override",
		"buffer-memory":     "256MiB default",
		"file-mode":         "0640 default",
		"s3-bucket":         "- default",
	} {
		if lines[name] != want {
			t.Errorf("%s: %q, want %q", name, lines[name], want)
		}
	}
}

func TestConfigCheckHidesSecrets(t *testing.T) {
	w := &testEnv{env: map[string]string{"HOLDFAST_TICKET_SECRET": aSecret + "," + aSecret}}
	lines := checked(t, w, "--auth-jwt-secret", aSecret, "--hook-url", "https://user:"+aSecret+"@app.example/hook?key="+aSecret, "--hook-secret", secretA,
		"--s3-bucket", "b", "--redis", "redis://:"+aSecret+"@cache:6379/0?addr=other:6379", "--hook-url-override", "post-finish=https://app.example/?key="+aSecret)
	for name, line := range lines {
		if strings.Contains(line, aSecret) || strings.Contains(line, secretA) {
			t.Errorf("%s: %s", name, line)
		}
	}
	for name, want := range map[string]string{
		"ticket-secret": "(hidden),(hidden) HOLDFAST_TICKET_SECRET",
		"hook-url":      "https://(hidden)@app.example/hook?key=(hidden) --hook-url",
		"redis":         "redis://(hidden)@cache:6379/0?addr=other:6379 --redis",
	} {
		if lines[name] != want {
			t.Errorf("%s: %q, want %q", name, lines[name], want)
		}
	}
}

// A setting that takes a secret is marked as one.
func TestSettingsNamedSecretAreHidden(t *testing.T) {
	for name, s := range settings {
		if !regexp.MustCompile("(secret|password|token)$").MatchString(name) {
			continue
		}
		if line := checked(t, new(testEnv), "--"+name+"="+s.value)[name]; strings.Contains(line, s.value) {
			t.Errorf("%s: %s", name, line)
		}
	}
}

func TestConfigCheckRejectsWhatTheServerDoes(t *testing.T) {
	_, err := new(testEnv).parse("config", "check", "--tls-cert", "a.pem", "--max-size", "1")
	wantError(t, err, "--tls-key")
}
