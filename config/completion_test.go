package config_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/config"
)

func completionScript(t *testing.T, shell string) string {
	t.Helper()
	var b strings.Builder
	if err := config.WriteCompletion(&b, shell); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestBashCompletesCommandsAndFlags(t *testing.T) {
	script := completionScript(t, "bash")
	for line, want := range map[string]string{
		"upl":                    "upload",
		"upload --limit":         "--limit-rate",
		"upload --no-re":         "--no-resume",
		"upload a.mp4 --toke":    "--token --token-file",
		"deliveries re":          "retry",
		"deliveries retry --adm": "--admin-listen",
		"ticket cr":              "create",
		"--max-si":               "--max-size",
		"completion b":           "",
	} {
		words := "holdfast " + line
		cmd := exec.Command("bash", "-c", script+"\nCOMP_WORDS=("+words+"); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _holdfast; echo \"${COMPREPLY[@]}\"")
		cmd.Dir = t.TempDir()
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%q: %q, want %q (%v)", line, got, want, err)
		}
	}
}

func TestOtherShellsCompleteCommandsAndFlags(t *testing.T) {
	for shell, wants := range map[string][]string{
		"zsh":  {"#compdef holdfast", "bashcompinit", "complete -o filenames -F _holdfast holdfast"},
		"fish": {"-a upload -d ", "'__fish_seen_subcommand_from upload' -l token-file -r", "'__fish_seen_subcommand_from ticket' -a create"},
	} {
		script := completionScript(t, shell)
		for _, want := range wants {
			if !strings.Contains(script, want) {
				t.Errorf("the script of %s lacks %q", shell, want)
			}
		}
	}
	if err := config.WriteCompletion(new(strings.Builder), "tcsh"); err == nil {
		t.Error("a shell without completion is accepted")
	}
}
