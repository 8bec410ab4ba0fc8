package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/cupwriter"

	"github.com/holdfast-upload/holdfast/client"
)

// display shows the progress of transfers. Its methods may be called by several goroutines.
type display interface {
	// start adds a transfer. A size of -1 is unknown.
	start(name string, size int64) view
	// close ends the display.
	close()
}

// view shows one transfer.
type view interface {
	progress(p client.Progress)
	end(result client.Result, err error)
}

// newDisplay returns the display of n transfers: JSON lines on stdout, or bars on a
// terminal, or plain lines.
func newDisplay(asJSON bool, n int, std IO) display {
	switch {
	case asJSON:
		return &jsonLines{out: std.Stdout}
	case cupwriter.New(std.Stderr, false).IsTerminal():
		return newBars(n, std)
	}
	return &plainLines{std: std}
}

// plainLines prints a line for each complete file on stdout, and for failures and, now and
// then, for the progress on stderr.
type plainLines struct {
	mu  sync.Mutex
	std IO
}

// plainInterval is the time between two lines of progress.
const plainInterval = 10 * time.Second

func (l *plainLines) start(name string, _ int64) view {
	return &plainLine{lines: l, name: name, printed: time.Now(), begun: time.Now()}
}

func (l *plainLines) close() {}

func (l *plainLines) printf(to io.Writer, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(to, format, args...)
}

type plainLine struct {
	lines   *plainLines
	name    string
	begun   time.Time
	printed time.Time
	failure error // that was printed last
}

func (v *plainLine) progress(p client.Progress) {
	if p.Err != nil && p.Err != v.failure {
		v.lines.printf(v.lines.std.Stderr, "%s: %v; trying again in %v\n", v.name, p.Err, p.RetryIn.Round(100*time.Millisecond))
	}
	v.failure = p.Err
	if time.Since(v.printed) < plainInterval {
		return
	}
	v.printed = time.Now()
	v.lines.printf(v.lines.std.Stderr, "%s: %s\n", v.name, progressText(p, time.Since(v.begun)))
}

func (v *plainLine) end(result client.Result, err error) {
	if err == nil {
		v.lines.printf(v.lines.std.Stdout, "%s\n", resultText(v.name, result))
	}
}

// progressText is the progress in words: bytes, rate, time left.
func progressText(p client.Progress, elapsed time.Duration) string {
	text := formatBytes(p.Stored)
	if p.Size >= 0 {
		text += " of " + formatBytes(p.Size)
	}
	if p.Resumed > 0 {
		text += ", " + formatBytes(p.Resumed) + " of them from before"
	}
	rate := rateOf(p, elapsed)
	if rate > 0 {
		text += ", " + formatBytes(int64(rate)) + "/s"
	}
	if left := timeLeft(p, rate); left > 0 {
		text += ", " + left.String() + " left"
	}
	return text
}

// rateOf returns the bytes per second of this call.
func rateOf(p client.Progress, elapsed time.Duration) float64 {
	return float64(p.Stored+p.InFlight-p.Resumed) / max(elapsed.Seconds(), 0.1)
}

func timeLeft(p client.Progress, rate float64) time.Duration {
	if p.Size < 0 || rate <= 0 {
		return 0
	}
	left := float64(max(p.Size-p.Stored-p.InFlight, 0)) / rate
	return time.Duration(min(left, 1e6)) * time.Second
}

// resultText says what became of a complete transfer.
func resultText(name string, r client.Result) string {
	text := fmt.Sprintf("%s: %s, %s", name, r.URL, formatBytes(r.Size))
	if r.Resumed > 0 {
		text += ", " + formatBytes(r.Resumed) + " of them from before"
	}
	if r.Verified {
		return text + ", same checksum"
	}
	return text + ", the server states no checksum"
}

// jsonLines prints events as JSON.
type jsonLines struct {
	mu  sync.Mutex
	out io.Writer
}

// event is a line of --json. Sizes are in bytes.
type event struct {
	Event    string   `json:"event"` // progress, failure, complete, deleted or error
	File     string   `json:"file,omitempty"`
	URL      string   `json:"url,omitempty"`
	Protocol string   `json:"protocol,omitempty"`
	Size     *int64   `json:"size,omitempty"`
	Stored   *int64   `json:"stored,omitempty"`
	Sent     *int64   `json:"sent,omitempty"`
	Resumed  int64    `json:"resumed,omitempty"`
	Chunk    int64    `json:"chunk,omitempty"`
	Parallel int      `json:"parallel,omitempty"`
	Retries  int      `json:"retries,omitempty"`
	RetryIn  float64  `json:"retryIn,omitempty"` // seconds
	Seconds  *float64 `json:"seconds,omitempty"`
	CRC32C   string   `json:"crc32c,omitempty"`
	Verified *bool    `json:"verified,omitempty"`
	Error    string   `json:"error,omitempty"`
	Exit     int      `json:"exit,omitempty"`
}

func writeJSON(w io.Writer, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // all types here can be encoded
	}
	_, _ = w.Write(append(text, '\n')) // a reader that has gone away does not end the transfer
}

func (l *jsonLines) write(e event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	writeJSON(l.out, e)
}

func (l *jsonLines) start(name string, _ int64) view {
	return &jsonView{lines: l, name: name, printed: time.Now()}
}

func (l *jsonLines) close() {}

type jsonView struct {
	lines   *jsonLines
	name    string
	printed time.Time
	failure error
}

func (v *jsonView) progress(p client.Progress) {
	if p.Err != nil && p.Err != v.failure {
		v.lines.write(event{Event: "failure", File: v.name, Error: p.Err.Error(), RetryIn: p.RetryIn.Seconds()})
	}
	v.failure = p.Err
	if time.Since(v.printed) < time.Second {
		return
	}
	v.printed = time.Now()
	e := event{Event: "progress", File: v.name, Stored: &p.Stored, Sent: &p.Sent, Resumed: p.Resumed, Chunk: p.Chunk, Parallel: p.Parallel}
	if p.Size >= 0 {
		e.Size = &p.Size
	}
	v.lines.write(e)
}

func (v *jsonView) end(r client.Result, err error) {
	seconds := r.Duration.Seconds()
	e := event{
		Event: eventOf(err, "complete"), File: v.name, URL: r.URL, Protocol: string(r.Protocol), Sent: &r.Sent, Resumed: r.Resumed,
		Retries: r.Retries, Seconds: &seconds, CRC32C: r.CRC32C, Error: textOf(err), Exit: ExitCode(err),
	}
	if err == nil {
		e.Size, e.Verified = &r.Size, &r.Verified
	}
	v.lines.write(e)
}

func eventOf(err error, success string) string {
	if err != nil {
		return "error"
	}
	return success
}

func textOf(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.Canceled):
		return "interrupted"
	}
	return err.Error()
}

// formatBytes formats a number of bytes with a binary unit.
func formatBytes(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), 0
	for value >= 1<<10 && unit < 5 {
		value /= 1 << 10
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", value, " KMGTP"[unit])
}
