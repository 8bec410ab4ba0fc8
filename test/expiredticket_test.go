package test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/auth"
)

// Tasks that a background session has queued come with a ticket that has expired meanwhile.
// Such a client sends its whole chunk before it reads the response, and must see that the
// ticket has expired, not a broken connection, after which it would try again for ever.
func TestAClientThatSendsAllSeesThatItsTicketHasExpired(t *testing.T) {
	t.Parallel()
	s := guarded(t)
	const size = 20 * mib
	expired := auth.Ticket{Upload: "it", Create: true, Expires: time.Now().Add(-time.Hour)}
	token := Bearer(Token("anna", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}))
	for name, c := range map[string]struct {
		path   string
		fields []string
	}{
		"a ticket": {"/files/it?ticket=" + TicketFor(expired), nil},
		"a token":  {"/files/it", []string{token}},
	} {
		w := dial(t, s.Addr)
		w.send(append([]string{"PUT " + c.path + " HTTP/1.1", "Host: " + s.Addr, fmt.Sprintf("Content-Length: %d", size)}, c.fields...)...)
		if n, err := io.CopyN(w.conn, endless{}, size); err != nil {
			t.Fatalf("%s: after %d bytes: %v", name, n, err)
		}
		a := w.answer()
		demand(t, a, 401)
		if a.Header.Get("Connection") == "close" {
			t.Errorf("%s: the connection cannot be used again", name)
		}
		w.send("GET /healthz HTTP/1.1", "Host: "+s.Addr)
		demand(t, w.answer(), 200)
	}
	w := dial(t, s.Addr) // what never was valid is not read
	w.send("PUT /files/it?ticket="+TicketFor(expired)+"x HTTP/1.1", "Host: "+s.Addr, fmt.Sprintf("Content-Length: %d", size))
	if _, err := io.CopyN(w.conn, endless{}, size); err == nil {
		t.Error("the body with an invalid ticket was read")
	}
}
