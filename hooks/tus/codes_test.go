package tus

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/hooks/problem"
)

// With another version, the places listed at tusdVersion have to be checked.
func TestTheWorkaroundsAreForTheVersionOfTusd(t *testing.T) {
	version, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "github.com/tus/tusd/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(version)); got != tusdVersion {
		t.Errorf("tusd is %s, tusdVersion %s", got, tusdVersion)
	}
}

// A refusal of tusd without a code of ours would be logged by its status alone.
func TestEveryRefusalOfTusdHasACode(t *testing.T) {
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/tus/tusd/v2/pkg/handler").Output()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(strings.TrimSpace(string(dir)) + "/unrouted_handler.go")
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`"(ERR_[A-Z_]+)"`).FindAllSubmatch(source, -1)
	for _, found := range codes {
		if code := string(found[1]); !problem.KnowsTusd(code) {
			t.Errorf("%s has no code", code)
		}
	}
	if len(codes) < 25 {
		t.Errorf("only %d refusals were found", len(codes))
	}
}
