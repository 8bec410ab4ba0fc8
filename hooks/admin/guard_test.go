package admin_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/holdfast-upload/holdfast/hooks/admin"
)

// The admin address asks for no credentials: a web page must not reach it through the
// browser of an operator.
func TestTheAdminAddressIsNotForWebPages(t *testing.T) {
	const addr, port = "127.0.0.1:9090", ":9090"
	guarded := admin.Guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), addr, "uploads.example.com")
	for name, c := range map[string]struct {
		host   string
		header []string
		want   int
	}{
		"by its address":                {addr, nil, 200},
		"by a name in the same network": {"node" + port, nil, 200},
		"by a name in Kubernetes":       {"holdfast.prod.svc.cluster.local" + port, nil, 200},
		"by a name that is set":         {"Uploads.example.com" + port, nil, 200},
		"by IPv6":                       {"[::1]" + port, nil, 200},
		"DNS rebinding":                 {"evil.example" + port, nil, 421},
		"a name that only begins so":    {"uploads.example.com.evil.example", nil, 421},
		"from another page":             {addr, []string{"Origin", "https://evil.example"}, 403},
		"from a page without an origin": {addr, []string{"Origin", "null"}, 403},
		"an image in another page":      {addr, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"from its own page":             {addr, []string{"Origin", "http://" + addr, "Sec-Fetch-Site", "same-origin"}, 200},
		"typed in":                      {addr, []string{"Sec-Fetch-Site", "none"}, 200},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = c.host
		for i := 0; i < len(c.header); i += 2 {
			r.Header.Set(c.header[i], c.header[i+1])
		}
		w := httptest.NewRecorder()
		guarded.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: %d, want %d", name, w.Code, c.want)
		}
	}
}

func TestTheAddressListenedOnIsAName(t *testing.T) {
	guarded := admin.Guard(http.NotFoundHandler(), "admin.example.com:9090")
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = "admin.example.com"
	w := httptest.NewRecorder()
	guarded.ServeHTTP(w, r)
	if w.Code != http.StatusNotFound {
		t.Errorf("%d", w.Code)
	}
}
