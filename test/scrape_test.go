package test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// startAdmin runs a server that has an admin address, and returns that too.
func startAdmin(t *testing.T, args ...string) (*Server, string) {
	t.Helper()
	s := start(t, append(args, "--admin-listen", "127.0.0.1:0")...)
	return s, adminOf(t, s)
}

// adminOf finds the admin address in the log.
func adminOf(t *testing.T, s *Server) (url string) {
	t.Helper()
	eventually(t, 30*time.Second, "the admin address is in the log", func() bool {
		for line := range strings.Lines(s.Log()) {
			var entry struct{ Msg, Addr string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "admin listening" {
				url = "http://" + entry.Addr
			}
		}
		return url != ""
	})
	return url
}

// metrics is what a scrape found, by name.
type metrics map[string]*dto.MetricFamily

// scrape reads /metrics, and demands that it is as Prometheus wants it.
func scrape(t *testing.T, admin string) metrics {
	t.Helper()
	resp, err := http.DefaultClient.Do(request(t, http.MethodGet, admin+"/metrics", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("scrape: status %d, %v: %s", resp.StatusCode, err, text)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	found, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("the exposition is not one: %v\n%s", err, text)
	}
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	return found
}

// sum adds up the samples of a family that have all the given label values. Of a
// histogram they are the numbers of observations.
func (m metrics) sum(name string, values ...string) (sum float64) {
	for _, sample := range m[name].GetMetric() {
		have := map[string]bool{}
		for _, l := range sample.GetLabel() {
			have[l.GetValue()] = true
		}
		wanted := true
		for _, v := range values {
			wanted = wanted && have[v]
		}
		if wanted {
			sum += sample.GetCounter().GetValue() + sample.GetGauge().GetValue() + float64(sample.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// moved is what a metric must be, at least, after something has happened.
type moved struct {
	name   string
	labels []string
	least  float64
}

// wantMoved demands that all of these have moved, sooner or later.
func wantMoved(t *testing.T, admin string, all []moved) metrics {
	t.Helper()
	var m metrics
	for _, want := range all {
		eventually(t, 60*time.Second, want.name+" "+strings.Join(want.labels, ","), func() bool {
			m = scrape(t, admin)
			return m.sum(want.name, want.labels...) >= want.least
		})
	}
	return m
}

// wantNoLabel demands that no label of holdfast's has any of the texts in it.
func (m metrics) wantNoLabel(t *testing.T, texts ...string) {
	t.Helper()
	for name, family := range m {
		for _, sample := range family.GetMetric() {
			for _, l := range sample.GetLabel() {
				for _, text := range texts {
					if strings.Contains(l.GetValue(), text) {
						t.Errorf("%s has the label %s=%q", name, l.GetName(), l.GetValue())
					}
				}
			}
		}
	}
}
