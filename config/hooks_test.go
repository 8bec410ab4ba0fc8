package config_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/config"
)

func TestClientCertificateOfHooksNeedsItsKey(t *testing.T) {
	_, err := new(testEnv).parse("--hook-client-cert=c.pem")
	wantError(t, err, "--hook-client-key", "--hook-client-cert")
	_, err = new(testEnv).parse("--hook-client-key=k.pem")
	wantError(t, err, "--hook-client-cert", "--hook-client-key")
}

func TestEveryConfiguredHookNeedsAURL(t *testing.T) {
	_, err := new(testEnv).parse("--hook-events=pre-create,post-finish", "--hook-url-override=post-finish=http://a")
	wantError(t, err, "--hook-events", "pre-create has no URL")
	got, err := new(testEnv).parse("--hook-events=pre-create,post-finish", "--hook-url-override=post-finish=http://a", "--hook-url-override=pre-create=http://b")
	if err != nil || !got.Config.Hooks() || len(got.Config.HookURLOverride) != 2 {
		t.Errorf("%+v, %v", got.Config, err)
	}
	if none := config.Default(); none.Hooks() {
		t.Error("hooks are sent without a URL")
	}
}

func TestErrorsDoNotContainSecrets(t *testing.T) {
	if _, err := new(testEnv).parse("--hook-secret=s3cret"); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%v", err)
	}
}

func TestDeliveriesCommandsUseTheAdminAddress(t *testing.T) {
	const addr = "127.0.0.1:8081"
	env := &testEnv{env: map[string]string{"HOLDFAST_ADMIN_LISTEN": addr}}
	for line, want := range map[string]config.Command{
		"deliveries":             {Name: "deliveries"},
		"deliveries list":        {Name: "deliveries"},
		"deliveries retry":       {Name: "deliveries retry"},
		"deliveries retry a b-c": {Name: "deliveries retry", IDs: []string{"a", "b-c"}},
	} {
		want.Config.AdminListen = addr
		if got, err := env.parse(strings.Fields(line)...); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", line, got, err)
		}
		if got, err := new(testEnv).parse(append(strings.Fields(line), "--admin="+addr)...); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s --admin: %+v, %v", line, got, err)
		}
		_, err := new(testEnv).parse(strings.Fields(line)...)
		wantError(t, err, "--admin-listen", "HOLDFAST_ADMIN_LISTEN")
	}
}
