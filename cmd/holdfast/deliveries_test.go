package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/cmd/holdfast/internal/commands"
)

// adminAddr waits for the admin address.
func (r *running) adminAddr(t *testing.T) string {
	t.Helper()
	var line map[string]any
	eventually(t, "the admin address", func() bool { line = r.log.find("admin listening"); return line != nil })
	return line["addr"].(string)
}

// holdfastDeliveries runs the command line.
func holdfastDeliveries(addr string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	env := func(key string) (string, bool) {
		if key == "HOLDFAST_ADMIN_LISTEN" && addr != "" {
			return addr, true
		}
		return "", false
	}
	code = run(append([]string{"deliveries"}, args...), env, &out, &errs)
	return code, out.String(), errs.String()
}

func TestDeliveriesAreListedAndRetried(t *testing.T) {
	b := startBackend(t, respond(""))
	cfg := hookedConfig(t, b, "post-finish")
	cfg.HookRetryMaxAge = 50 * time.Millisecond // then it is dead-lettered
	r := startHooked(t, cfg)
	addr := r.adminAddr(t)
	for _, id := range []string{"one", "two"} {
		do(t, h1(t), "PUT", r.URL()+id, strings.NewReader("bytes"))
	}
	eventually(t, "both are dead-lettered", func() bool {
		_, out, _ := holdfastDeliveries(addr)
		return strings.Count(out, `"deadLettered":true`) == 2
	})
	code, out, _ := holdfastDeliveries(addr, "list")
	var line struct {
		ID, Age  string
		Size     int64
		Finished time.Time
	}
	if err := json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &line); err != nil || code != 0 || line.ID == "" ||
		line.Size != 5 || time.Since(line.Finished) > time.Minute || line.Age == "" {
		t.Errorf("list: %d %s", code, out)
	}
	if code, out, errs := holdfastDeliveries(addr, "retry", "one"); code != 1 || !strings.Contains(out, "502") || !strings.Contains(errs, commands.ErrSomeFailed.Error()) {
		t.Errorf("while the app is down: %d %s %s", code, out, errs)
	}
	b.change(respond("{}"))
	if code, out, errs := holdfastDeliveries(addr, "retry", "one"); code != 0 || out != `{"id":"one","delivered":true}`+"\n" {
		t.Errorf("one: %d %s %s", code, out, errs)
	}
	if code, out, errs := holdfastDeliveries(addr, "retry"); code != 0 || out != `{"id":"two","delivered":true}`+"\n" {
		t.Errorf("the rest: %d %s %s", code, out, errs)
	}
	if code, out, _ := holdfastDeliveries(addr); code != 0 || out != "" {
		t.Errorf("at last: %d %s", code, out)
	}
	for _, id := range []string{"one", "never", "../x"} {
		if code, out, _ := holdfastDeliveries(addr, "retry", id); code != 1 || !strings.Contains(out, `"delivered":false`) {
			t.Errorf("%s, which has no pending delivery: %d %s", id, code, out)
		}
	}
}

func TestDeliveriesCommandsReportErrors(t *testing.T) {
	plain := testConfig(t)
	plain.AdminListen = "127.0.0.1:0"
	r := start(t, plain, nil)
	for name, c := range map[string]struct {
		addr string
		args []string
		code int
		says string
	}{
		"no address":       {"", nil, 2, "--admin-listen"},
		"no server there":  {"127.0.0.1:1", nil, 1, "request to the admin address"},
		"not an address":   {"", []string{"list", "--admin=x"}, 2, "not an address"},
		"no hooks are set": {r.adminAddr(t), []string{"retry"}, 1, "no delivery is configured"},
		"not the admin's":  {r.listener.Addr().String(), nil, 1, "404"},
	} {
		if code, _, errs := holdfastDeliveries(c.addr, c.args...); code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("%s: exit %d: %s", name, code, errs)
		}
	}
}
