package protocol_test

import (
	"testing"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
)

func TestAParameterIsRemovedHoweverItIsWritten(t *testing.T) {
	for query, want := range map[string]string{
		"":                          "",
		"a=1&b=2;c=3":               "a=1&b=2;c=3",
		"ticket=x":                  "",
		"a=1&ticket=x&b=2":          "a=1&b=2",
		"a=1;ticket=x":              "a=1",
		"ticket=x;a=1":              "a=1",
		"a=1;ticket=x;b=2&Ticket=y": "a=1;b=2",
		"%74icket=x&a=1":            "a=1",
		"ticket":                    "",
		"ticket=x%zz&a=1":           "a=1",
		"tic%zzket=x&a=1":           "a=1",
		"a=%zz&ticket=x":            "a=%zz",
		"&&;ticket=x;&a":            "a",
		"tickets=2&myticket=3":      "tickets=2&myticket=3",
	} {
		if got := protocol.WithoutParam(query, "ticket"); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
}
