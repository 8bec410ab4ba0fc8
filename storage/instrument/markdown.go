package instrument

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// descPattern matches the String of a prometheus.Desc, which has no accessors.
var descPattern = regexp.MustCompile(`^Desc\{fqName: "(holdfast_[a-z0-9_]+)", help: "(.*?)",(?: unit: "[^"]*",)? constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

// WriteMarkdown writes a Markdown page of all metrics of holdfast.
func WriteMarkdown(w io.Writer) error {
	m := New("")
	m.S3()
	m.Memory(func() (used, limit, spilled int64) { return 0, 0, 0 })
	m.Redis()
	m.RedisUp(func() bool { return true })
	m.Hooks(func() Hooks { return Hooks{} })
	descs := make(chan *prometheus.Desc)
	go func() { defer close(descs); m.registry.Describe(descs) }()
	var rows []string
	for desc := range descs {
		found := descPattern.FindStringSubmatch(desc.String())
		if found == nil {
			continue // one of the Go runtime's
		}
		labels := strings.NewReplacer("{", "", "}", "", ",", ", ").Replace(found[4])
		for name := range strings.SplitSeq(found[3], ",") {
			if name, _, ok := strings.Cut(name, "="); ok {
				labels = strings.Trim(labels+", "+name, ", ")
			}
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", found[1], labels, found[2]))
	}
	slices.Sort(rows)
	_, err := io.WriteString(w, markdownIntro+strings.Join(slices.Compact(rows), ""))
	return err
}

const markdownIntro = `# Metrics

This page is generated from the code. Metrics are in Prometheus' format at ` + "`/metrics`" + `
of ` + "`--admin-listen`" + `. They are those of one node: an event of an upload is counted by the
node on which it happens, so sums over nodes are right. ` + "`protocol`" + ` is ` + "`none`" + ` for what
no protocol asked for, such as a sweep. No label holds the id of an upload, or anything
else that clients choose. Metrics of S3 and Redis exist only where these are used. The
metrics of all Go programs, ` + "`go_…` and `process_…`" + `, are there as well.

| metric | labels | meaning |
|---|---|---|
`
