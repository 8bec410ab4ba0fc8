package webhook_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// secret is what the server was given as --hook-secret.
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// receiver is the app's side: it accepts signed requests only, and processes each event
// once, however often it is delivered.
type receiver struct {
	verify *standardwebhooks.Webhook

	mu   sync.Mutex
	done map[string]bool // in a real app: a table with the webhook-id as its key
}

// hook has the fields of a hook that the app needs.
type hook struct {
	Type  string
	Event struct {
		Upload struct {
			ID       string
			Size     int64
			MetaData map[string]string
			Storage  map[string]string
		}
	}
}

func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := rc.verify.Verify(body, r.Header); err != nil {
		http.Error(w, "invalid signature", http.StatusUnauthorized)
		return
	}
	var h hook
	if err := json.Unmarshal(body, &h); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if id := r.Header.Get("webhook-id"); !rc.done[id] { // both in one transaction, in a real app
		rc.done[id] = true
		up := h.Event.Upload
		fmt.Printf("%s: %s has %d bytes and is at %s\n", h.Type, up.MetaData["filename"], up.Size, up.Storage["Path"])
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintln(w, "{}") // 2xx: acknowledged
}

// A receiver of hooks that verifies signatures and tolerates repeated deliveries.
func Example_receiver() {
	verify, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		panic(err)
	}
	app := httptest.NewServer(&receiver{verify: verify, done: map[string]bool{}})
	defer app.Close()

	const event = `{"Type":"post-finish","Event":{"Upload":{"ID":"holiday","Size":5,"MetaData":{"filename":"holiday.mp4"},` +
		`"Storage":{"Type":"filestore","Path":"/srv/uploads/holiday"}}}}`
	now := time.Now()
	signature, err := verify.Sign("holiday.finished", now, []byte(event))
	if err != nil {
		panic(err)
	}
	for _, signature := range []string{signature, signature, "v1,forged"} {
		r, err := http.NewRequest(http.MethodPost, app.URL, strings.NewReader(event))
		if err != nil {
			panic(err)
		}
		r.Header.Set("webhook-id", "holiday.finished")
		r.Header.Set("webhook-timestamp", fmt.Sprint(now.Unix()))
		r.Header.Set("webhook-signature", signature)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			panic(err)
		}
		answer.Body.Close()
		fmt.Println(answer.Status)
	}
	// Output:
	// post-finish: holiday.mp4 has 5 bytes and is at /srv/uploads/holiday
	// 200 OK
	// 200 OK
	// 401 Unauthorized
}
