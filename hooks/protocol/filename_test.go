package protocol

import (
	"net/http"
	"testing"
)

func TestFilenamesThatAPageHasEncodedAreDecoded(t *testing.T) {
	for disposition, want := range map[string]string{
		``:                                       "",
		`attachment`:                             "",
		`attachment; filename="a b.mp4"`:         "a b.mp4",
		`attachment; filename="my%20%C3%BC.mp4"`: "my ü.mp4",
		`attachment; filename="a%20(1)%20%5B2%5D.mp4"`: "a (1) [2].mp4",
		`attachment; filename="100%25.mp4"`:            "100%.mp4",
		`attachment; filename="100%2525.mp4"`:          "100%25.mp4",
		// What encodeURI never makes is kept as it is.
		`attachment; filename="100%.mp4"`:      "100%.mp4",
		`attachment; filename="a%2Fb.mp4"`:     "a%2Fb.mp4",
		`attachment; filename="a%c3%bc.mp4"`:   "a%c3%bc.mp4",
		`attachment; filename="a%FF.mp4"`:      "a%FF.mp4",
		`attachment; filename="a b%20c.mp4"`:   "a b%20c.mp4",
		`attachment; filename="50%20% off"`:    "50%20% off",
		`attachment; filename*=UTF-8''a%2520b`: "a%20b",
	} {
		if got := Filename(http.Header{"Content-Disposition": {disposition}}); got != want {
			t.Errorf("%s: %q, want %q", disposition, got, want)
		}
	}
}
