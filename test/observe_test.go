package test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// installPromQL installs the parser with the versions of its lock file, once.
var installPromQL = sync.OnceValue(func() error { return installNode("promql") })

// alertRules is the file of alerts, as Prometheus reads it.
type alertRules struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert, Expr, For    string
			Labels, Annotations map[string]string
		}
	}
}

// dashboard is what the test reads of Grafana's dashboard.
type dashboard struct {
	Panels []struct {
		ID      int
		Title   string
		Type    string
		Targets []struct{ Expr string }
	}
	Templating struct {
		List []struct{ Definition string }
	}
}

func readRules(t *testing.T) alertRules {
	t.Helper()
	text, err := os.ReadFile("../docker/prometheus/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var rules alertRules
	if err := yaml.UnmarshalWithOptions(text, &rules, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return rules
}

// dashboardQueries are the queries of the dashboard, with values for Grafana's variables.
func dashboardQueries(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../docker/grafana/holdfast.json")
	if err != nil {
		t.Fatal(err)
	}
	var board dashboard
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	var queries []string
	ids := map[int]bool{}
	for _, panel := range board.Panels {
		if ids[panel.ID] || panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("panel %d, %q: its id is taken, or it shows nothing", panel.ID, panel.Title)
		}
		ids[panel.ID] = true
		for _, target := range panel.Targets {
			queries = append(queries, strings.NewReplacer("$__rate_interval", "5m", "$node", ".*").Replace(target.Expr))
		}
	}
	return queries
}

// parsedQuery is the output of promql/parse.js for a query.
type parsedQuery struct {
	WellFormed      bool
	Metrics, Labels []string
}

func parseQueries(t *testing.T, queries []string) []parsedQuery {
	t.Helper()
	if err := installPromQL(); err != nil {
		t.Fatalf("install the parser: %v", err)
	}
	return eachByNode[parsedQuery](t, "promql", "parse.js", queries)
}

// documentedMetrics are the metrics of docs/metrics.md, each with its labels.
func documentedMetrics(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	metrics := map[string][]string{"up": nil}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| ([\\w, ]*) \\|").FindAllSubmatch(text, -1) {
		metrics[string(row[1])] = strings.Split(string(row[2]), ", ")
	}
	return metrics
}

var (
	suffixPattern  = regexp.MustCompile("_(bucket|sum|count)$")
	runtimePattern = regexp.MustCompile("^(go|process)_")
)

// wantDocumented demands that the metrics of a query, and their labels, exist.
func wantDocumented(t *testing.T, query string, q parsedQuery, documented map[string][]string) {
	t.Helper()
	labels := []string{"instance", "job", "le"}
	for _, name := range q.Metrics {
		of, ok := documented[name]
		if !ok {
			of, ok = documented[suffixPattern.ReplaceAllString(name, "")]
		}
		if !ok && !runtimePattern.MatchString(name) {
			t.Errorf("docs/metrics.md has no %s, which is in %s", name, query)
		}
		labels = append(labels, of...)
	}
	for _, name := range q.Labels {
		if !slices.Contains(labels, name) {
			t.Errorf("no metric in %s has the label %q", query, name)
		}
	}
	if !q.WellFormed || len(q.Metrics) == 0 {
		t.Errorf("not a query: %s", query)
	}
}

// Every query of the alerts and of the dashboard is well-formed, and reads metrics that exist.
func TestQueriesReadMetricsThatExist(t *testing.T) {
	t.Parallel()
	queries := dashboardQueries(t)
	for _, group := range readRules(t).Groups {
		for _, rule := range group.Rules {
			queries = append(queries, rule.Expr)
		}
	}
	documented := documentedMetrics(t)
	if len(queries) < 50 || len(documented) < 30 {
		t.Fatalf("%d queries, %d metrics", len(queries), len(documented))
	}
	for i, parsed := range parseQueries(t, queries) {
		wantDocumented(t, queries[i], parsed, documented)
	}
}

// The parser finds what is wrong, or the test above would show nothing.
func TestQueriesThatAreWrongAreFound(t *testing.T) {
	t.Parallel()
	for i, parsed := range parseQueries(t, []string{"", "sum by (a", "a b", "sum(rate(x[5m])", `x{a="b"`}) {
		if parsed.WellFormed {
			t.Errorf("query %d is taken", i)
		}
	}
}

// promtool runs Prometheus's checker of rules.
func promtool(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	out, err := exec.Command("promtool", args...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Fatal("promtool is not installed: it is in Debian's package prometheus")
	}
	return string(out), err
}

// Prometheus takes the files, and each alert is tested: it fires when it should.
func TestAlertsFireWhenTheyShould(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"check", "rules", "../docker/prometheus/rules.yml"},
		{"check", "config", "--syntax-only", "../docker/prometheus/prometheus.yml"},
		{"test", "rules", "../docker/prometheus/rules_test.yml"},
	} {
		if out, err := promtool(t, args...); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	tests := repositoryFile(t, "docker/prometheus/rules_test.yml")
	for _, group := range readRules(t).Groups {
		for _, rule := range group.Rules {
			if !strings.Contains(tests, "- alertname: "+rule.Alert+"\n") || !strings.Contains(tests, "- {alertname: "+rule.Alert+",") {
				t.Errorf("%s is not tested both when it fires and when it does not", rule.Alert)
			}
		}
	}
}

// A rule that never fires is found, or the test above would show nothing.
func TestAlertsThatDoNotFireAreFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rules := repositoryFile(t, "docker/prometheus/rules.yml")
	for name, text := range map[string]string{
		"rules.yml":      strings.Replace(rules, "holdfast_redis_up == 0", "holdfast_redis_up == 2", 1),
		"rules_test.yml": repositoryFile(t, "docker/prometheus/rules_test.yml"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := promtool(t, "test", "rules", filepath.Join(dir, "rules_test.yml")); err == nil || !strings.Contains(out, "HoldfastRedisDown") {
		t.Errorf("%v\n%s", err, out)
	}
}

// An alert says what to do: each has a summary, and a paragraph in the documents.
func TestAlertsHaveAParagraphEach(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, group := range readRules(t).Groups {
		for _, rule := range group.Rules {
			known[rule.Alert] = true
			if !strings.Contains(string(page), "\n### "+rule.Alert+"\n") {
				t.Errorf("docs/operations.md has no paragraph %s", rule.Alert)
			}
			if want := "/docs/operations.md#" + strings.ToLower(rule.Alert); !strings.HasSuffix(rule.Annotations["runbook_url"], want) {
				t.Errorf("%s: runbook_url %q, want …%s", rule.Alert, rule.Annotations["runbook_url"], want)
			}
			if severity := rule.Labels["severity"]; rule.Annotations["summary"] == "" || severity != "page" && severity != "ticket" {
				t.Errorf("%s: summary %q, severity %q", rule.Alert, rule.Annotations["summary"], severity)
			}
			if _, err := time.ParseDuration(rule.For); rule.For != "" && err != nil {
				t.Errorf("%s: for %q", rule.Alert, rule.For)
			}
		}
	}
	for _, heading := range regexp.MustCompile(`(?m)^### (Holdfast\w+)$`).FindAllStringSubmatch(string(page), -1) {
		if !known[heading[1]] {
			t.Errorf("there is no alert %s, which docs/operations.md explains", heading[1])
		}
	}
}
