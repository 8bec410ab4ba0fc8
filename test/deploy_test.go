package test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// installKubernetes installs the schema with the versions of its lock file, once.
var installKubernetes = sync.OnceValue(func() error { return installNode("kubernetes") })

// checkManifests returns the errors in each of the texts.
func checkManifests(t *testing.T, texts ...string) (errors [][]string) {
	t.Helper()
	if err := installKubernetes(); err != nil {
		t.Fatalf("install the schema: %v", err)
	}
	return eachByNode[[]string](t, "kubernetes", "check.js", texts)
}

func TestKubernetesManifestsFitTheSchema(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../docker/kubernetes/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatal("no manifests", err)
	}
	var texts []string
	for _, path := range paths {
		texts = append(texts, repositoryFile(t, strings.TrimPrefix(path, "../")))
	}
	good := len(texts)
	for _, change := range [][2]string{
		{"maxUnavailable: 1\n", "maxUnavailble: 1\n"}, {"containerPort: 8080", "containerPort: http"}, {"  selector:\n    matchLabels", "  selectors:\n    matchLabels"},
	} {
		wrong := strings.Replace(repositoryFile(t, "docker/kubernetes/holdfast.yaml"), change[0], change[1], 1)
		texts = append(texts, wrong) // or the test would show nothing
	}
	for i, errors := range checkManifests(t, texts...) {
		if i < good && len(errors) > 0 {
			t.Errorf("%s: %s", paths[i], strings.Join(errors, "\n"))
		}
		if i >= good && len(errors) == 0 {
			t.Errorf("wrong manifest %d is taken", i-good)
		}
	}
}

func repositoryFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// deployExamples are the examples that stop a server.
var deployExamples = map[string]struct {
	file string
	// timeout is that of the server, before what is spent before SIGTERM, and kill is when
	// the process is killed.
	timeout, before, kill string
}{
	"compose":    {"docker-compose.yml", `HOLDFAST_SHUTDOWN_TIMEOUT: (\w+)`, "", `stop_grace_period: (\w+) # more than HOLDFAST`},
	"Kubernetes": {"docker/kubernetes/holdfast.yaml", `HOLDFAST_SHUTDOWN_TIMEOUT: (\w+)`, `sleep: {seconds: (\d+)}`, `terminationGracePeriodSeconds: (\d+)`},
	"systemd":    {"docker/holdfast.service", `HOLDFAST_SHUTDOWN_TIMEOUT=(\w+)`, "", `TimeoutStopSec=(\w+)`},
}

// Nothing kills a server that shuts down before it is done.
func TestExamplesOfDeploymentsWaitForTheShutdown(t *testing.T) {
	t.Parallel()
	for name, d := range deployExamples {
		text := repositoryFile(t, d.file)
		duration := func(pattern string) time.Duration {
			found := regexp.MustCompile(pattern).FindStringSubmatch(text)
			if found == nil {
				t.Fatalf("%s has no %s", d.file, pattern)
			}
			seconds, err := time.ParseDuration(strings.TrimSuffix(found[1], "s") + "s")
			if err != nil {
				t.Fatal(err)
			}
			return seconds
		}
		stop := duration(d.timeout)
		if d.before != "" {
			stop += duration(d.before)
		}
		if kill := duration(d.kill); kill < stop+5*time.Second {
			t.Errorf("%s: killed after %v, while it may take %v", name, kill, stop)
		}
	}
}

// Every setting that the examples set exists.
func TestExamplesOfDeploymentsSetWhatExists(t *testing.T) {
	t.Parallel()
	page := repositoryFile(t, "docs/configuration.md")
	for name, d := range deployExamples {
		names := regexp.MustCompile(`HOLDFAST_[A-Z0-9_]+`).FindAllString(repositoryFile(t, d.file), -1)
		if len(names) == 0 {
			t.Errorf("%s sets nothing", name)
		}
		for _, setting := range names {
			if strings.TrimRight(setting, "_") != "HOLDFAST" && !strings.HasSuffix(setting, "_S3_") && !strings.Contains(page, "`"+setting+"`") {
				t.Errorf("%s: there is no %s", name, setting)
			}
		}
	}
}

// Prometheus and Grafana of the compose file get the files that docker/ has.
func TestComposeMountsFilesThatExist(t *testing.T) {
	t.Parallel()
	var compose struct {
		Services map[string]struct{ Volumes []string }
	}
	if err := yaml.Unmarshal([]byte(repositoryFile(t, "docker-compose.yml")), &compose); err != nil {
		t.Fatal(err)
	}
	mounted := 0
	for name, service := range compose.Services {
		for _, volume := range service.Volumes {
			path, _, _ := strings.Cut(volume, ":")
			if within, ok := strings.CutPrefix(path, "./"); ok {
				mounted++
				if _, err := os.Stat(filepath.Join("..", within)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
	if mounted < 5 {
		t.Errorf("%d files are mounted", mounted)
	}
}
