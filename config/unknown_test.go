package config_test

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/config"
)

func TestAVariableThatIsNotASettingIsWarnedAbout(t *testing.T) {
	environ := []string{
		"HOLDFAST_MAX_SIZE=1GiB", "HOLDFAST_CONFIG=", "PATH=/bin", "HOLDFAST_UPLOAD_ID=x",
		"HOLDFAST_SERVICE_HOST=10.0.0.1", "HOLDFAST_PORT=tcp://10.0.0.1:80", "HOLDFAST_PORT_80_TCP=tcp://10.0.0.1:80", // by Kubernetes
		"HOLDFAST_MAXSIZE=1GiB",
	}
	command, err := config.Parse(nil, config.Env{
		Getenv: func(string) (string, bool) { return "", false }, Environ: func() []string { return environ }, Stdout: io.Discard,
	})
	want := []string{"HOLDFAST_MAXSIZE is not a setting", "HOLDFAST_UPLOAD_ID is not a setting"}
	if err != nil || !slices.Equal(command.Warnings, want) {
		t.Errorf("warnings %q, %v; want %q", command.Warnings, err, want)
	}
}

func TestAWrongAdminAddressIsReportedOnce(t *testing.T) {
	_, err := config.Parse([]string{"--admin-listen=nowhere"}, config.Env{Getenv: func(string) (string, bool) { return "", false }, Stdout: io.Discard})
	if err == nil || strings.Count(err.Error(), "--admin-listen") != 1 {
		t.Errorf("%v", err)
	}
}

func TestHelpNamesTheCommands(t *testing.T) {
	var out strings.Builder
	_, _ = config.Parse([]string{"--help"}, config.Env{Getenv: func(string) (string, bool) { return "", false }, Stdout: &out})
	for _, text := range []string{"Usage: holdfast [serve] [flags]", "\n  health ", "\n  ticket create ", "\n  deliveries retry "} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("the help lacks %q", text)
		}
	}
}
