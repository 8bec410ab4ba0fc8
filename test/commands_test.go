package test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// runBlocks are the blocks of commands in the documents that a test runs, by a text in each.
var runBlocks = map[string]string{
	"split -b":                  "TestReadmeUploadsInPiecesWithCurlAlone",
	"openssl dgst":              "TestReadmeMakesATokenAndATicket",
	"holdfast ticket create":    "TestReadmeMakesATokenAndATicket",
	"Upload-Complete: ?0":       "TestReadmeIETFCommandsWork",
	"curl -sv":                  "TestReadmeIETFCommandsWork",
	"localhost:9090/metrics":    "TestReadmeShowsWhatAScrapePrints",
	"holdfast rm":               "TestReadmeUploadsWithTheCommand",
	"tar -c photos":             "TestReadmeUploadsWithTheCommand",
	"HOLDFAST_HOOK_SECRET":      "TestReadmeSetsUpHooks",
	"holdfast deliveries retry": "TestReadmeRetriesDeliveries",
}

// readBlocks are those that no test runs as they stand there, and why.
var readBlocks = map[string]string{
	"go install github.com/":           "needs a published release",
	"go run ./cmd/holdfast":            "TestMain builds the same package, and the tests start it",
	"make test":                        "runs this test",
	"export AWS_ACCESS_KEY_ID":         "needs an account at Amazon; the tests of test/cluster start nodes on S3 and Redis",
	"HOLDFAST_TEST_S3=":                "needs an S3 server of the reader",
	"docker compose up\n":              "needs images of a registry; tests read the file, and run nginx with its configuration",
	"docker kill":                      "needs the same; the tests of test/cluster kill nodes and stop Redis",
	"docker compose --profile observe": "needs the same; TestComposeMountsFilesThatExist, TestQueriesReadMetricsThatExist",
	"kubectl apply":                    "needs a Kubernetes; TestKubernetesManifestsFitTheSchema",
	"holdfast check-store":             "needs MinIO; TestTwoNodesWorkOnAnyS3Server runs the command on other servers",
}

// Every block of commands in the documents is run by a test, or known to be one that can't be.
// What starts holdfast is accepted by it, and a test that is named exists.
func TestCommandsOfTheDocumentsAreRunOrKnown(t *testing.T) {
	t.Parallel()
	known := maps.Clone(runBlocks)
	maps.Copy(known, readBlocks)
	left := maps.Clone(known)
	for _, block := range readmeBlocks(t, "sh") {
		settings := regexp.MustCompile(`(?m)^holdfast (--[^#\n]*)`).FindAllStringSubmatch(block, -1)
		found := len(settings) > 0
		for text := range known {
			if strings.Contains(block, text) {
				delete(left, text)
				found = true
			}
		}
		if !found {
			t.Errorf("no test runs these commands, and no reason is known:\n%s", block)
		}
		for _, line := range settings {
			if out, err := exec.Command(holdfast, append([]string{"config", "check"}, strings.Fields(line[1])...)...).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", line[0], err, out)
			}
		}
	}
	for text, by := range left {
		t.Errorf("no document has a block with %q, which is known: %s", text, by)
	}
	tests, err := inTests(".", regexp.MustCompile(`(?m)^func (Test\w+)\(`))
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range known {
		for _, name := range regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(by, -1) {
			if !slices.ContainsFunc(tests, func(found []string) bool { return found[1] == name }) {
				t.Errorf("there is no test %s", name)
			}
		}
	}
}

// The commands about deliveries print what the document says, for one that the app has refused.
func TestReadmeRetriesDeliveries(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	app.Be(func(Hook) Mood { return Refuses })
	s := start(t, append(hookFlags(app), "--hook-timeout", "10s")...)
	ask(t, http.MethodPut, s.URL("holiday"), strings.NewReader("video"), nil, http.StatusCreated)
	eventually(t, 30*time.Second, "the delivery is dead-lettered", func() bool {
		lines := deliveries(t, s)
		return len(lines) == 1 && lines[0].DeadLettered
	})
	app.Be(func(Hook) Mood { return Takes })
	script := strings.ReplaceAll(readmeBlock(t, "sh", "holdfast deliveries retry"), "127.0.0.1:9090", s.Admin())
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Env = append(os.Environ(), fmt.Sprintf("PATH=%s:%s", filepath.Dir(holdfast), os.Getenv("PATH")))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `{"id":"holiday","size":5,`) || !strings.Contains(string(out), `"deadLettered":true}`) {
		t.Errorf("%v\n%s", err, out)
	}
	if left := deliveries(t, s); len(left) != 0 {
		t.Errorf("pending after a retry: %v", left)
	}
}
