package test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/test/servers"
)

// patchAtTus sends the bytes of body by tus.
func patchAtTus(t *testing.T, url string, body io.Reader, offset int64, fields ...string) {
	t.Helper()
	fields = append(fields, tusVersion, fmt.Sprintf("Upload-Offset: %d", offset), offsetBytes)
	ask(t, http.MethodPatch, url, body, fields, http.StatusNoContent)
}

// liveOnce leads uploads through all that can befall them, and returns their ids.
func liveOnce(t *testing.T, s *Server) (ids []string) {
	t.Helper()
	url := createTus(t, s, 2000)
	patchAtTus(t, url, strings.NewReader(strings.Repeat("a", 1000)), 0)
	patchAtTus(t, url, strings.NewReader(strings.Repeat("b", 1000)), 1000)
	ask(t, http.MethodPut, s.URL("by-put"), strings.NewReader("hello"), nil, http.StatusCreated)
	ask(t, http.MethodGet, s.URL("by-put"), nil, nil, http.StatusOK)
	remove := createTus(t, s, 10)
	ask(t, http.MethodDelete, remove, nil, []string{"Tus-Resumable: 1.0.0"}, http.StatusNoContent)
	expires := createTus(t, s, 20)
	ask(t, http.MethodGet, s.URL("never-was"), nil, nil, http.StatusNotFound)
	ask(t, http.MethodOptions, s.URL(""), nil, nil, http.StatusOK)
	ask(t, "BREW", s.URL("by-put"), nil, []string{"Tus-Resumable: 1.0.0"}, http.StatusMethodNotAllowed)
	return []string{path.Base(url), path.Base(remove), path.Base(expires), "by-put", "never-was"}
}

// movedByLife is what liveOnce does to the metrics, whatever the store.
var movedByLife = []moved{
	{"holdfast_uploads_created_total", []string{"tus"}, 3},
	{"holdfast_uploads_created_total", []string{"content-range"}, 1},
	{"holdfast_uploads_finished_total", []string{"tus"}, 1},
	{"holdfast_uploads_finished_total", []string{"content-range"}, 1},
	{"holdfast_uploads_deleted_total", []string{"tus"}, 1},
	{"holdfast_uploads_expired_total", []string{"none"}, 1},
	{"holdfast_http_requests_total", []string{"tus", "POST", "2xx"}, 3},
	{"holdfast_http_requests_total", []string{"tus", "PATCH", "2xx"}, 2},
	{"holdfast_http_requests_total", []string{"content-range", "PUT", "2xx"}, 1},
	{"holdfast_http_requests_total", []string{"content-range", "GET", "4xx"}, 1},
	{"holdfast_http_requests_total", []string{"none", "OPTIONS", "2xx"}, 1},
	{"holdfast_http_requests_total", []string{"other", "4xx"}, 1},
	{"holdfast_http_request_duration_seconds", []string{"tus"}, 6},
	{"holdfast_http_request_bytes_total", []string{"tus"}, 2000},
	{"holdfast_http_request_bytes_total", []string{"content-range"}, 5},
	{"holdfast_http_response_bytes_total", []string{"content-range"}, 5},
	{"holdfast_extents_stored_total", nil, 3},
	{"holdfast_stored_bytes_total", nil, 2005},
	{"holdfast_store_operations_total", []string{"create"}, 4},
	{"holdfast_store_operation_duration_seconds", []string{"write"}, 3},
	{"holdfast_cache_lookups_total", []string{"hit"}, 1},
	{"holdfast_cache_lookups_total", []string{"miss"}, 1},
	{"holdfast_lock_wait_seconds", nil, 3},
	{"holdfast_sweep_duration_seconds", nil, 1},
	{"holdfast_build_info", nil, 1},
	{"go_goroutines", nil, 1},
	{"process_open_fds", nil, 1},
}

func TestEveryMetricMovesOnDisk(t *testing.T) {
	t.Parallel()
	s, admin := startAdmin(t, "--expire-after", "8s", "--sweep-interval", "200ms")
	ids := liveOnce(t, s)
	m := wantMoved(t, admin, movedByLife)
	m.wantNoLabel(t, append(ids, "BREW")...)
	if got := m.sum("holdfast_uploads_finished_total"); got != 2 {
		t.Errorf("%v uploads finished, want 2", got)
	}
	if got := m.sum("holdfast_http_request_bytes_total"); got != 2005 {
		t.Errorf("%v bytes received, want 2005", got)
	}
	for name := range m {
		for _, of := range []string{"_s3_", "_redis_", "_memory_"} {
			if strings.HasPrefix(name, "holdfast_") && strings.Contains(name, of) {
				t.Errorf("a server on disk shows %s", name)
			}
		}
	}
}

// sendHalf sends half of a file by PUT, and returns what sends the other.
func sendHalf(t *testing.T, url string) (finish func()) {
	t.Helper()
	body, rest := io.Pipe()
	req := request(t, http.MethodPut, url, body)
	req.ContentLength = 2000
	answered := make(chan error, 1)
	go func() {
		_, err := Do(http.DefaultClient, req)
		answered <- err
	}()
	if _, err := rest.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := rest.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		rest.Close()
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
	}
}

func TestRunningRequestsAndTheirBytesShowWhileTheyRun(t *testing.T) {
	t.Parallel()
	s, admin := startAdmin(t)
	finish := sendHalf(t, s.URL("slow"))
	wantMoved(t, admin, []moved{
		{"holdfast_http_requests_in_flight", []string{"content-range"}, 1},
		{"holdfast_http_request_bytes_total", []string{"content-range"}, 1000},
	})
	finish()
	eventually(t, 30*time.Second, "nothing runs any more", func() bool {
		return scrape(t, admin).sum("holdfast_http_requests_in_flight") == 0
	})
}

func TestMetricsAndProfilesAreAtTheAdminAddressOnly(t *testing.T) {
	t.Parallel()
	s, admin := startAdmin(t)
	for _, path := range []string{"/metrics", "/debug/pprof/"} {
		ask(t, http.MethodGet, "http://"+s.Addr+path, nil, nil, http.StatusNotFound)
		ask(t, http.MethodGet, admin+path, nil, nil, http.StatusOK)
	}
	heap := ask(t, http.MethodGet, admin+"/debug/pprof/heap", nil, nil, http.StatusOK)
	if len(heap.Body) < 2 || heap.Body[0] != 0x1f || heap.Body[1] != 0x8b {
		t.Errorf("the heap profile is not one, gzipped: %.20q", heap.Body)
	}
	ask(t, http.MethodGet, admin+"/files/", nil, nil, http.StatusNotFound)
}

func TestThereIsNoAdminAddressUnlessAskedFor(t *testing.T) {
	t.Parallel()
	if log := start(t).Log(); strings.Contains(log, "admin listening") {
		t.Errorf("the log has an admin address:\n%s", log)
	}
}

// startOnS3 runs a server over S3 and Redis servers of its own.
func startOnS3(t *testing.T, args ...string) (s *Server, s3, redis *servers.Server) {
	t.Helper()
	s3, redis = servers.S3(t), servers.Redis(t)
	s = &Server{
		Bin: holdfast, Data: filepath.Join(t.TempDir(), "unused"),
		Wrap: []string{"env", "AWS_ACCESS_KEY_ID=" + servers.AccessKey, "AWS_SECRET_ACCESS_KEY=" + servers.SecretKey},
		Args: append(args, "--s3-bucket", "uploads", "--s3-endpoint", s3.URL("http"), "--s3-path-style", "--s3-create-bucket",
			"--redis", redis.URL("redis")+"/0"),
	}
	run(t, s)
	return s, s3, redis
}

func TestEveryMetricMovesOnS3AndRedis(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(app.Close)
	s, s3, redis := startOnS3(t, "--buffer-memory", "1MiB", "--expire-after", "8s", "--sweep-interval", "200ms", "--admin-listen", "127.0.0.1:0",
		"--hook-url", app.URL)
	admin := adminOf(t, s)
	ids := liveOnce(t, s)
	content := NewContent(7, 40*mib)
	ids = append(ids, "large")
	put(t, newClient(s, "large", content), content.Chunks(25 * mib)[0], http.StatusAccepted)
	put(t, newClient(s, "large", content), content.Chunks(25 * mib)[1], http.StatusCreated)
	m := wantMoved(t, admin, append(movedByLife, []moved{
		{"holdfast_extents_stored_total", []string{"part"}, 1},
		{"holdfast_extents_stored_total", []string{"fragment"}, 1},
		{"holdfast_extents_stored_total", []string{"file"}, 1},
		{"holdfast_s3_operations_total", []string{"PutObject"}, 5},
		{"holdfast_s3_operations_total", []string{"UploadPart"}, 1},
		{"holdfast_s3_operations_total", []string{"CompleteMultipartUpload"}, 1},
		{"holdfast_s3_operation_duration_seconds", []string{"GetObject"}, 1},
		{"holdfast_redis_operations_total", []string{"lock"}, 3},
		{"holdfast_redis_operations_total", []string{"add"}, 3},
		{"holdfast_redis_operation_duration_seconds", []string{"get"}, 1},
		{"holdfast_memory_limit_bytes", nil, mib},
		{"holdfast_deliveries_delivered_total", nil, 3},
		{"holdfast_spilled_bytes_total", nil, mib},
	}...))
	m.wantNoLabel(t, ids...)
	if got := m.sum("holdfast_s3_operations_total", "other"); got != 0 {
		t.Errorf("%v requests to S3 have no name", got)
	}
	if got := m.sum("holdfast_redis_up"); got != 1 {
		t.Errorf("redis_up is %v while Redis answers", got)
	}
	finish := sendHalf(t, s.URL("slow"))
	wantMoved(t, admin, []moved{{"holdfast_memory_used_bytes", nil, 1}})
	finish()
	redis.Kill()
	wantMoved(t, admin, []moved{{"holdfast_redis_errors_total", nil, 1}})
	eventually(t, 30*time.Second, "Redis is down", func() bool { return scrape(t, admin).sum("holdfast_redis_up") == 0 })
	ask(t, http.MethodHead, s.URL("unknown"), nil, nil, http.StatusNotFound)
	wantMoved(t, admin, []moved{{"holdfast_cache_errors_total", []string{"get"}, 1}})
	redis.Start()
	eventually(t, 30*time.Second, "Redis is back", func() bool { return scrape(t, admin).sum("holdfast_redis_up") == 1 })
	s3.Kill()
	ready, err := Do(http.DefaultClient, request(t, http.MethodGet, "http://"+s.Addr+"/readyz", nil))
	if err != nil || ready.Status != http.StatusServiceUnavailable {
		t.Errorf("ready without S3: status %d, %v", ready.Status, err)
	}
	m = wantMoved(t, admin, []moved{{"holdfast_s3_errors_total", nil, 1}, {"holdfast_store_errors_total", nil, 1}, {"holdfast_sweep_errors_total", nil, 1}})
	m.wantDocumented(t)
}

// wantDocumented demands that docs/metrics.md has just the metrics of a scrape that
// found all there are.
func (m metrics) wantDocumented(t *testing.T) {
	t.Helper()
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, name := range regexp.MustCompile("`(holdfast_[a-z0-9_]+)`").FindAllStringSubmatch(string(page), -1) {
		documented[name[1]] = true
		if m[name[1]] == nil {
			t.Errorf("docs/metrics.md has %s, which does not exist", name[1])
		}
	}
	for name := range m {
		if strings.HasPrefix(name, "holdfast_") && !documented[name] {
			t.Errorf("docs/metrics.md lacks %s", name)
		}
	}
}
