package uploadpage_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/holdfast-upload/holdfast/hooks/uploadpage"
	"github.com/holdfast-upload/holdfast/storage"
)

func ask(method, path string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	uploadpage.New("/files/").ServeHTTP(w, r)
	return w
}

func TestNoUploadHasTheNameOfThePage(t *testing.T) {
	page := uploadpage.New("/")
	if storage.CheckID(uploadpage.Name) == nil {
		t.Errorf("%q is a valid id", uploadpage.Name)
	}
	for path, serves := range map[string]bool{
		"/_upload": true, "/_upload/": true, "/_upload/page.js": true, "/_upload/x/y": true,
		"/_uploads": false, "/": false, "/upload": false, "/a/_upload": false, "/a_upload": false,
	} {
		if page.Serves(path) != serves {
			t.Errorf("%s: %t", path, !serves)
		}
	}
}

func TestPageIsOnlyRead(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"} {
		for _, path := range []string{"/files/_upload", "/files/_upload/", "/files/_upload/page.js"} {
			w := ask(method, path)
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow %q", method, path, w.Code, w.Header().Get("Allow"))
			}
		}
	}
	if w := ask("HEAD", "/files/_upload/"); w.Code != http.StatusOK {
		t.Errorf("HEAD: %d", w.Code)
	}
	if w := ask("GET", "/files/_upload/secret"); w.Code != http.StatusNotFound {
		t.Errorf("a file that does not exist: %d", w.Code)
	}
	if w := ask("GET", "/files/_upload"); w.Code != http.StatusMovedPermanently || w.Header().Get("Location") != "_upload/" {
		t.Errorf("without the slash: %d, Location %q", w.Code, w.Header().Get("Location"))
	}
}

func TestPageRunsOnlyItsOwnScripts(t *testing.T) {
	first, second := ask("GET", "/files/_upload/"), ask("GET", "/files/_upload/")
	policy := first.Header().Get("Content-Security-Policy")
	for _, part := range []string{
		"default-src 'none'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
	} {
		if !strings.Contains(policy, part) {
			t.Errorf("no %s in %s", part, policy)
		}
	}
	for _, part := range []string{"unsafe", "*", "http", "script-src 'self'"} {
		if strings.Contains(policy, part) {
			t.Errorf("%s in %s", part, policy)
		}
	}
	nonce := regexp.MustCompile(`script-src 'nonce-([A-Z0-9]{26})'; style-src 'nonce-([A-Z0-9]{26})';`).FindStringSubmatch(policy)
	if nonce == nil || nonce[1] != nonce[2] || second.Header().Get("Content-Security-Policy") == policy {
		t.Fatalf("the nonce is not one of this response: %s", policy)
	}
	if n := strings.Count(first.Body.String(), `nonce="`+nonce[1]+`"`); n != 3 {
		t.Errorf("%d files have the nonce", n)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin"} {
		if got := first.Header().Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// What the policy forbids does not work, so the files must not have it; and what makes HTML of
// text is not used, since file names are text.
func TestPageHasNothingInlineOrFromElsewhere(t *testing.T) {
	never := regexp.MustCompile(`https?://|\sstyle=|\son[a-z]+=["']|<script>|<style|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|@import|[: ]url\(`)
	for _, name := range []string{"page.html", "page.css", "page.js", "transfer.js"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if found := never.Find(text); found != nil {
			t.Errorf("%s has %q", name, found)
		}
	}
}

func TestAssetsAreValidatedByTheirTag(t *testing.T) {
	for path, contentType := range map[string]string{
		"/files/_upload/page.css": "text/css; charset=utf-8", "/files/_upload/page.js": "text/javascript; charset=utf-8", "/files/_upload/transfer.js": "text/javascript; charset=utf-8",
	} {
		w := ask("GET", path)
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != contentType || w.Header().Get("Cache-Control") != "no-cache" || w.Body.Len() < 1000 {
			t.Errorf("%s: %d, %v, %d bytes", path, w.Code, w.Header(), w.Body.Len())
		}
		if again := ask("GET", path, "If-None-Match", w.Header().Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("%s again: %d", path, again.Code)
		}
	}
}
