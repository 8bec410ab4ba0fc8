package auth_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/auth"
)

// Code after RedactTickets may log everything in the request.
func TestTicketsAreHiddenFromLaterHandlers(t *testing.T) {
	ticket, err := auth.Sign(secret, auth.Ticket{Upload: "it", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"?ticket=" + ticket, "?a=b&ticket=" + ticket + "&c=d", "?%74icket=" + ticket, "?a=b",
		"?a=b;ticket=" + ticket, "?ticket=" + ticket + ";a=b", "?a=b&ticket=" + ticket + "%zz", "?a=b&Ticket=" + ticket} {
		r := httptest.NewRequest("POST", "/files/it"+query, nil)
		r.Header.Set("Upload-Ticket", ticket)
		r.Header.Set("Referer", "https://up.example/files/it?x=y&ticket="+ticket)
		for _, name := range []string{"X-Original-URI", "X-Forwarded-Uri", "X-Rewrite-Url", "X-Whatever"} {
			r.Header.Set(name, "/files/it"+query)
		}
		r.Header.Add("X-Original-URI", "/files/it?a=b&%74%69cket="+ticket+"&c=d")
		r.Header.Set("X-Auth-Redirect", "https://up.example/login?to="+url.QueryEscape("/files/it?a=b&ticket="+ticket))
		r.Header.Set("Cookie", "signed=/cas?ticket=ST-1-abc")
		r.Header.Set("Upload-Concat", "final;/files/a?ticket="+ticket+" /files/b?ticket="+ticket)
		redacted, tickets := auth.RedactTickets(r)
		got := fmt.Sprint(redacted.URL, redacted.RequestURI, redacted.Header)
		if found := tickets.InHeader; len(found) != 1 || found[0] != ticket {
			t.Errorf("%s: the tickets %v were found", query, tickets)
		}
		if strings.Contains(got, ticket) || !strings.Contains(got, "final;/files/a /files/b]") {
			t.Errorf("%s: the next handler gets %s", query, got)
		}
		if strings.Contains(query, "a=b") && !strings.Contains(got, "a=b") {
			t.Errorf("%s: the rest of the query is missing: %s", query, got)
		}
		if !strings.Contains(got, "signed=/cas?ticket=ST-1-abc") {
			t.Errorf("%s: the app's cookie was changed: %s", query, got)
		}
		if r.Header.Get("Upload-Ticket") == "" || !strings.Contains(r.Header.Get("Referer"), ticket) {
			t.Error("the request of outer handlers was changed")
		}
	}
}
