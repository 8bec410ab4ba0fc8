package config_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/holdfast-upload/holdfast/config"
)

// An unset variable, as in --ticket-secret "$SECRET", does not turn authentication off.
func TestSecretThatIsGivenAndEmptyIsRefused(t *testing.T) {
	for _, name := range []string{
		"auth-jwt-secret", "auth-jwt-secret-file", "auth-jwks-url", "auth-jwt-issuer", "auth-jwt-audience", "auth-hook-url",
		"ticket-secret", "ticket-secret-file", "hook-secret", "hook-secret-file", "s3-bucket", "tls-cert", "tls-key",
	} {
		_, err := new(testEnv).parse("--" + name + "=")
		wantError(t, err, "--"+name+": is empty")
		_, err = new(testEnv).parse("--listen=:1", "--"+name, "", "serve")
		wantError(t, err, "--"+name+": is empty")
		_, err = (&testEnv{env: map[string]string{variable(name): ""}}).parse()
		wantError(t, err, "--"+name+": "+variable(name)+": is empty")
		file := writeYAML(t, name+": ''")
		_, err = new(testEnv).parse("--config", file)
		wantError(t, err, "--"+name+": "+name+" in "+file+": is empty")
	}
	_, err := new(testEnv).parse("--config", writeYAML(t, "ticket-secret: []"))
	wantError(t, err, "--ticket-secret", "is empty")
	w := &testEnv{env: map[string]string{"HOLDFAST_TICKET_SECRET": ""}}
	_, err = w.parse("--config", writeYAML(t, "ticket-secret: "+aSecret))
	wantError(t, err, "--ticket-secret", "is empty") // the environment wins over the file
	if _, err := w.parse("--ticket-secret=" + aSecret); err != nil {
		t.Errorf("a flag over an empty variable: %v", err)
	}
}

func variable(name string) string {
	return "HOLDFAST_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

func TestSettingThatMeansNothingAloneIsRefused(t *testing.T) {
	for _, c := range []struct{ name, value, base, without string }{
		{"auth-jwt-issuer", "a", "--auth-jwt-secret=" + aSecret, "--auth-jwt-secret"},
		{"auth-jwt-audience", "a", "--auth-jwks-url=https://a.example", "--auth-jwks-url"},
		{"auth-jwt-audience", "a", "--auth-jwt-secret-file=f", "--auth-jwt-secret-file"},
		{"auth-hook-header", "X-Key", "--auth-hook-url=https://a.example", "--auth-hook-url"},
		{"ticket-ttl", "1h", "--ticket-secret=" + aSecret, "--ticket-secret"},
		{"ticket-ttl", "1h", "--ticket-secret-file=f", "--ticket-secret-file"},
		{"hook-events", "pre-create", "--hook-url=https://a.example", "--hook-url"},
		{"hook-events", "pre-create", "--hook-url-override=pre-create=https://a.example", "--hook-url-override"},
		{"s3-endpoint", "http://s3", "--s3-bucket=b", "--s3-bucket"},
		{"s3-region", "eu", "--s3-bucket=b", "--s3-bucket"},
		{"s3-path-style", "true", "--s3-bucket=b", "--s3-bucket"},
		{"s3-prefix", "p/", "--s3-bucket=b", "--s3-bucket"},
		{"s3-create-bucket", "true", "--s3-bucket=b", "--s3-bucket"},
		{"s3-checksums", "off", "--s3-bucket=b", "--s3-bucket"},
		{"s3-timeout", "5s", "--s3-bucket=b", "--s3-bucket"},
		{"s3-storage-class", "C", "--s3-bucket=b", "--s3-bucket"},
		{"s3-encryption", "AES256", "--s3-bucket=b", "--s3-bucket"},
		{"s3-encryption-key", "k", "--s3-bucket=b", "--s3-bucket"},
		{"s3-presign-ttl", "1m", "--s3-bucket=b", "--s3-bucket"},
		{"s3-public-endpoint", "http://s3", "--s3-bucket=b", "--s3-bucket"},
		{"redis", "redis://r", "--s3-bucket=b", "--s3-bucket"},
	} {
		flag := "--" + c.name + "=" + c.value
		_, err := new(testEnv).parse(flag)
		wantError(t, err, "--"+c.name+": has no meaning without", c.without)
		w := &testEnv{env: map[string]string{variable(c.name): c.value}}
		_, err = w.parse()
		wantError(t, err, "--"+c.name+": "+variable(c.name)+": has no meaning without", c.without)
		if _, err := w.parse(c.base); err != nil {
			t.Errorf("%s %s: %v", c.base, flag, err)
		}
	}
	_, err := new(testEnv).parse("--auth-jwt-issuer=a", "--auth-hook-url=https://a.example")
	wantError(t, err, "--auth-jwt-issuer")
	_, err = new(testEnv).parse("--s3-endpoint=http://s3", "--s3-bucket=")
	wantError(t, err, "--s3-endpoint", "--s3-bucket")
}

func TestExplicitDefaultRequiresNothing(t *testing.T) {
	args := []string{"--hook-events=post-finish", "--hook-events=", "--s3-checksums=auto", "--s3-path-style=false", "--s3-presign-ttl=0s",
		"--s3-endpoint=", "--ticket-ttl=0", "--redis=", "--auth-hook-header="}
	for _, arg := range args {
		if _, err := new(testEnv).parse(arg); err != nil {
			t.Errorf("%s: %v", arg, err)
		}
	}
}

func TestRequiredSettingsExist(t *testing.T) {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[config.Config]()) {
		for _, needed := range strings.Split(field.Tag.Get("needs"), ",") {
			if _, ok := settings[needed]; needed != "" && !ok {
				t.Errorf("%s requires %q, which does not exist", field.Name, needed)
			}
		}
	}
}

func TestSettingsOfTheComposeFileAreAccepted(t *testing.T) {
	text, err := os.ReadFile("../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Services map[string]struct{ Environment map[string]string }
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	w := &testEnv{env: file.Services["node"].Environment}
	if got, err := w.parse(); err != nil || got.Config.S3Bucket == "" {
		t.Errorf("%v: %v", w.env, err)
	}
}
