package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/holdfast-upload/holdfast/test/ports"
)

// HookSecret signs the hooks that an App believes.
const HookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// Mood is how an App treats a hook.
type Mood int

// The moods of an App.
const (
	Takes   Mood = iota // it answers 200
	Fails               // it answers 500
	Hangs               // it does not answer
	Resets              // it breaks the connection off
	Refuses             // it answers 410
)

// String implements fmt.Stringer.
func (m Mood) String() string { return [...]string{"takes", "fails", "hangs", "resets", "refuses"}[m] }

// Hook is a hook that an App was sent.
type Hook struct {
	ID    string `json:"-"` // the webhook-id
	Type  string
	Event struct {
		Upload struct {
			ID      string
			Size    int64
			Storage map[string]string
		}
	}
}

// App is the app behind the hooks. It records what it received, and behaves as badly as
// the test asks. Create it with NewApp.
type App struct {
	addr   string // HOST:PORT
	http   *http.Server
	verify *standardwebhooks.Webhook

	mu       sync.Mutex
	mood     func(Hook) Mood
	received map[string]int // by webhook-id: how often it was delivered
	took     map[string]int // and how often it took that
	wrong    []string       // hooks that are not to be believed
	hanged   chan struct{}  // closed when nothing hangs any more
}

// NewApp returns an app that takes everything, on a free port.
func NewApp() (*App, error) {
	verify, err := standardwebhooks.NewWebhook(HookSecret)
	if err != nil {
		return nil, err
	}
	addr, err := ports.Reserve()
	if err != nil {
		return nil, err
	}
	a := &App{addr: addr, verify: verify, received: map[string]int{}, took: map[string]int{}, hanged: make(chan struct{})}
	a.mood = func(Hook) Mood { return Takes }
	return a, a.Start()
}

// URL is where hooks are sent.
func (a *App) URL() string { return "http://" + a.addr + "/hooks" }

// Start makes the app listen, always on the same port.
func (a *App) Start() error {
	listener, err := net.Listen("tcp", a.addr)
	// A process that was being started when the app stopped has the listener for a moment longer.
	for end := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
		listener, err = net.Listen("tcp", a.addr)
	}
	if err != nil {
		return err
	}
	a.http = &http.Server{Handler: a}
	go func() { _ = a.http.Serve(listener) }() // until Stop
	return nil
}

// Stop has connections refused.
func (a *App) Stop() { _ = a.http.Close() }

// Close stops the app for good.
func (a *App) Close() {
	close(a.hanged)
	a.Stop()
}

// Be has the app treat hooks in this way from now on.
func (a *App) Be(mood func(Hook) Mood) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mood = mood
}

// Received returns how often each event was delivered to the app, Took how often it acknowledged it.
func (a *App) Received() map[string]int { return a.copyOf(a.received) }

// Took is how often the app has taken each event.
func (a *App) Took() map[string]int { return a.copyOf(a.took) }

func (a *App) copyOf(counts map[string]int) map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(counts)
}

// Wrong returns the hooks that were not as they must be.
func (a *App) Wrong() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.wrong
}

func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	hook, err := a.read(r)
	a.mu.Lock()
	if err != nil {
		a.wrong = append(a.wrong, err.Error())
	}
	mood := a.mood
	a.received[hook.ID]++
	a.mu.Unlock()
	switch mood(hook) {
	case Takes:
		w.Header().Set("Content-Type", "application/json")
		a.mu.Lock()
		a.took[hook.ID]++
		a.mu.Unlock()
		fmt.Fprintln(w, "{}")
	case Fails:
		http.Error(w, "not now", http.StatusInternalServerError)
	case Hangs:
		select {
		case <-r.Context().Done():
		case <-a.hanged:
		case <-time.After(time.Minute):
		}
	case Resets:
		reset(w)
	case Refuses:
		http.Error(w, "never again", http.StatusGone)
	}
}

// read reads a hook and holds it to what it must be.
func (a *App) read(r *http.Request) (Hook, error) {
	hook := Hook{ID: r.Header.Get("webhook-id")}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return hook, nil // the server was killed meanwhile
	}
	if err := a.verify.Verify(body, r.Header); err != nil {
		return hook, fmt.Errorf("%s: %w", hook.ID, err)
	}
	if err := json.Unmarshal(body, &hook); err != nil {
		return hook, err
	}
	if up := hook.Event.Upload; hook.Type == "post-finish" && (hook.ID != up.ID+".finished" || up.Storage["Type"] == "") {
		return hook, errors.New("not a hook of this upload: " + string(body))
	}
	return hook, nil
}

// reset breaks the connection off, as a crash of the app does.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}
