package commands

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/client"
	"github.com/holdfast-upload/holdfast/config"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// statusLine is a line of status --json.
type statusLine struct {
	URL      string     `json:"url"`
	Size     *int64     `json:"size"` // null while unknown
	Stored   int64      `json:"stored"`
	Complete bool       `json:"complete"`
	Received []string   `json:"received"`
	Expires  *time.Time `json:"expires,omitempty"`
	CRC32C   string     `json:"crc32c,omitempty"`
	Error    string     `json:"error,omitempty"`
}

// status prints the states of uploads.
func status(ctx context.Context, command config.Command, std IO) error {
	c := client.New(options(command.Remote.Remote))
	var failed error
	for _, target := range command.Remote.URLs {
		s, err := c.Status(ctx, target)
		switch {
		case command.Remote.JSON:
			writeJSON(std.Stdout, statusJSON(target, s, err))
		case err == nil:
			fmt.Fprintf(std.Stdout, "%s\n  %s\n", target, statusText(s))
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

func statusJSON(target string, s client.Status, err error) statusLine {
	line := statusLine{URL: target, Stored: s.Stored, Complete: s.Complete, Received: []string{}, CRC32C: s.CRC32C, Error: textOf(err)}
	if err == nil && s.Size >= 0 {
		line.Size = &s.Size
	}
	for _, r := range s.Received {
		line.Received = append(line.Received, r.String())
	}
	if !s.Expires.IsZero() {
		line.Expires = &s.Expires
	}
	return line
}

func statusText(s client.Status) string {
	text := drawRanges(s.Received, s.Size, 40) + " " + formatBytes(s.Stored)
	switch {
	case s.Complete:
		text += ", complete"
		if s.CRC32C != "" {
			text += ", CRC32C " + s.CRC32C
		}
		return text
	case s.Size >= 0:
		text += fmt.Sprintf(" of %s, %d %%", formatBytes(s.Size), 100*s.Stored/max(s.Size, 1))
	default:
		text += ", of an unknown size"
	}
	if n := len(s.Received); n > 1 {
		text += fmt.Sprintf(", in %d ranges", n)
	}
	if !s.Expires.IsZero() {
		text += ", expires " + s.Expires.Local().Format(time.DateTime)
	}
	return text
}

// drawRanges draws a file as a number of cells: received, received in part, missing. The
// size of a file of unknown size is the end of the last range.
func drawRanges(received []ranges.Range, size int64, cells int) string {
	if size < 0 && len(received) > 0 {
		size = received[len(received)-1].End
	}
	var b strings.Builder
	set := ranges.NewSet(received...)
	for i := range int64(cells) {
		cell := ranges.Range{Start: scale(size, i, cells), End: scale(size, i+1, cells)}
		missing := set.Missing(cell)
		switch {
		case missing.Empty() && (!cell.Empty() || size == 0):
			b.WriteRune('█')
		case missing.Bytes() < cell.Len():
			b.WriteRune('▒')
		default:
			b.WriteRune('░')
		}
	}
	return b.String()
}

// scale returns size*i/n without an overflow.
func scale(size, i int64, n int) int64 {
	return size/int64(n)*i + size%int64(n)*i/int64(n)
}

// download downloads a file, by default to its name in the URL.
func download(ctx context.Context, command config.Command, std IO) error {
	settings := command.Download
	to := settings.Output
	if to == "" {
		u, err := url.Parse(settings.URL)
		if err != nil {
			return err
		}
		if to = path.Base(u.Path); to == "/" || to == "." || to == ".." || strings.ContainsRune(to, os.PathSeparator) {
			return errors.New("download: the URL has no name: give one with --output")
		}
	}
	c := client.New(options(settings.Remote))
	if to == "-" {
		_, err := c.Download(ctx, settings.URL, std.Stdout, nil)
		return err
	}
	d := newDisplay(settings.JSON, 1, std)
	v := d.start(to, -1)
	result, err := c.DownloadFile(ctx, settings.URL, to, v.progress)
	v.end(result, err)
	d.close()
	if errors.Is(err, context.Canceled) {
		return interrupted{}
	}
	return err
}
