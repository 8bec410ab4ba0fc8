package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// chromium is the browser of all tests of this package.
var chromium = sync.OnceValues(OpenChromium)

// webPage is a page in a browser context of its own.
type webPage struct {
	t       *testing.T
	browser *Chromium
	name    string
}

// openPage opens a URL, and at the end of the test demands that the page had no error and
// broke no policy. Pictures of it at that time go to the directory PICTURES_OF_PAGES, if that is set.
func openPage(t *testing.T, url string) webPage {
	t.Helper()
	browser, err := chromium()
	if err != nil {
		t.Fatalf("start a browser: %v", err)
	}
	p := webPage{t, browser, t.Name()}
	t.Cleanup(func() {
		if dir := os.Getenv("PICTURES_OF_PAGES"); dir != "" {
			p.picture(dir)
		}
		var problems []string
		p.do("problems", &problems)
		if len(problems) > 0 {
			t.Errorf("the page has errors: %q", problems)
		}
		p.do("close", nil)
	})
	p.do("goto", nil, url)
	return p
}

// do fails the test if the browser fails.
func (p webPage) do(command string, out any, args ...any) {
	p.t.Helper()
	if err := p.browser.Do(p.name, command, out, args...); err != nil {
		p.t.Fatal(err)
	}
}

// picture writes a screenshot in light and one in dark.
func (p webPage) picture(dir string) {
	p.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		p.do("dark", nil, scheme == "dark")
		p.do("screenshot", nil, filepath.Join(dir, strings.ReplaceAll(p.t.Name(), "/", "-")+"-"+scheme+".png"))
	}
}

// texts returns what is shown of each element that a selector matches.
func (p webPage) texts(selector string) (texts []string) {
	p.t.Helper()
	p.do("text", &texts, selector)
	return texts
}

// await waits until an element that the selector matches shows a text.
func (p webPage) await(selector, text string) {
	p.t.Helper()
	if !p.until(fmt.Sprintf("[...document.querySelectorAll(%q)].some(e => e.innerText.includes(%q))", selector, text)) {
		p.t.Fatalf("%s does not show %q, but %q", selector, text, p.texts(selector))
	}
}

// awaitTrue waits until an expression is true in the page.
func (p webPage) awaitTrue(code string) {
	p.t.Helper()
	if !p.until(code) {
		p.t.Fatalf("never true: %s", code)
	}
}

func (p webPage) until(code string) (holds bool) {
	p.t.Helper()
	p.do("until", &holds, code)
	return holds
}

// evaluate returns the value of an expression in the page.
func evaluate[T any](p webPage, code string) (value T) {
	p.t.Helper()
	p.do("evaluate", &value, code)
	return value
}
