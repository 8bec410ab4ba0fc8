package test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	left := map[string]string{}
	for _, known := range []map[string]string{runBlocks, readBlocks} {
		for text, by := range known {
			left[text] = by
		}
	}
	for page, text := range commandPages(t) {
		for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text, -1) {
			found := 0
			for _, known := range []map[string]string{runBlocks, readBlocks} {
				for text := range known {
					if strings.Contains(block[1], text) {
						delete(left, text)
						found++
					}
				}
			}
			settings := regexp.MustCompile(`(?m)^holdfast (--[^#\n]*)`).FindAllStringSubmatch(block[1], -1)
			if found == 0 && len(settings) == 0 {
				t.Errorf("%s: no test runs these commands, and no reason is known:\n%s", page, block[1])
			}
			for _, line := range settings {
				if out, err := exec.Command(holdfast, append([]string{"config", "check"}, strings.Fields(line[1])...)...).CombinedOutput(); err != nil {
					t.Errorf("%s: %s: %v\n%s", page, line[0], err, out)
				}
			}
		}
	}
	for text, by := range left {
		t.Errorf("no document has a block with %q, which is known: %s", text, by)
	}
	tests := testNames(t)
	for _, known := range []map[string]string{runBlocks, readBlocks} {
		for _, by := range known {
			for _, name := range regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(by, -1) {
				if name != "TestMain" && !tests[name] {
					t.Errorf("there is no test %s", name)
				}
			}
		}
	}
}

// commandPages returns the documents that have commands, by path.
func commandPages(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, path := range append(paths, "../README.md", "../CONTRIBUTING.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[path] = string(text)
	}
	return texts
}

// testNames returns the names of the tests of this directory and those below.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, pattern := range []string{"*_test.go", "*/*_test.go"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, found := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(text), -1) {
				names[found[1]] = true
			}
		}
	}
	return names
}

// The commands about deliveries print what the document says, for one that the app has refused.
func TestReadmeRetriesDeliveries(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	app.Be(func(Hook) Mood { return Refuses })
	s := start(t, append(hookFlags(app), "--hook-timeout", "10s")...)
	ask(t, http.MethodPut, s.URL("holiday"), strings.NewReader("video"), nil, http.StatusCreated)
	within(t, 30*time.Second, "the delivery is dead-lettered", func() bool {
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
