package test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
)

// Chromium is a headless browser. Create it with OpenChromium; it ends with this process.
type Chromium struct {
	mu      sync.Mutex
	in      io.Writer
	last    int
	waiting map[int]chan browserAnswer
	ended   error
}

type browserAnswer struct {
	ID     int
	Result json.RawMessage
	Error  string
}

// browserNames are what systems call it.
var browserNames = []string{"chromium", "google-chrome", "chromium-browser"}

// OpenChromium installs playwright-core, unless it is there, and starts the browser of the
// system with it.
func OpenChromium() (*Chromium, error) {
	if err := installNode("browser"); err != nil {
		return nil, err
	}
	var path string
	for _, name := range browserNames {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		return nil, fmt.Errorf("no browser is installed: %v", browserNames)
	}
	cmd := exec.Command("node", "drive.js", path)
	cmd.Dir, cmd.Stderr = "browser", os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c := &Chromium{in: in, waiting: map[int]chan browserAnswer{}}
	go c.read(out)
	return c, cmd.Start()
}

// read passes answers on until there are no more.
func (c *Chromium) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var answer browserAnswer
		if err := json.Unmarshal(lines.Bytes(), &answer); err != nil {
			continue
		}
		c.mu.Lock()
		if waits, ok := c.waiting[answer.ID]; ok {
			delete(c.waiting, answer.ID)
			waits <- answer
		}
		c.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = errors.New("the browser has ended")
	for _, waits := range c.waiting {
		waits <- browserAnswer{Error: c.ended.Error()}
	}
	clear(c.waiting)
}

// Do has a page do something, and decodes the result into out unless that is nil: see
// browser/drive.js.
func (c *Chromium) Do(page, command string, out any, args ...any) error {
	waits, err := c.send(page, command, args)
	if err != nil {
		return err
	}
	answer := <-waits
	switch {
	case answer.Error != "":
		return fmt.Errorf("%s %v: %s", command, args, answer.Error)
	case out != nil:
		return json.Unmarshal(answer.Result, out)
	}
	return nil
}

func (c *Chromium) send(page, command string, args []any) (<-chan browserAnswer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return nil, c.ended
	}
	c.last++
	line, err := json.Marshal(map[string]any{"id": c.last, "page": page, "command": command, "args": append([]any{}, args...)})
	if err != nil {
		return nil, err
	}
	waits := make(chan browserAnswer, 1)
	c.waiting[c.last] = waits
	_, err = c.in.Write(append(line, '\n'))
	return waits, err
}
