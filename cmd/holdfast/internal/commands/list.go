package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/holdfast-upload/holdfast/config"
)

// listed is a line of GET /uploads of the admin address.
type listed struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	State    string    `json:"state"`
	Size     *int64    `json:"size"`
	Received int64     `json:"received"`
	Created  time.Time `json:"created"`
	Owner    string    `json:"owner"`
	Error    string    `json:"error"`
}

// list prints the uploads of the server whose admin address is given.
func list(ctx context.Context, command config.Command, std IO) error {
	path := "/uploads"
	if command.List.All {
		path += "?all"
	}
	resp, err := call(ctx, http.MethodGet, "http", command.List.AdminListen, path)
	if err != nil {
		return fmt.Errorf("request to the admin address of the server: %w", err)
	}
	defer resp.Body.Close()
	if command.List.JSON {
		_, err := io.Copy(std.Stdout, resp.Body)
		return err
	}
	table := tabwriter.NewWriter(std.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tSTATE\tRECEIVED\tSIZE\tAGE\tOWNER\tNAME")
	var failed error
	for dec := json.NewDecoder(resp.Body); ; {
		var up listed
		if err := dec.Decode(&up); errors.Is(err, io.EOF) {
			return errors.Join(failed, table.Flush())
		} else if err != nil {
			return errors.Join(fmt.Errorf("read the response: %w", err), table.Flush())
		}
		if up.Error != "" {
			failed = errors.Join(failed, errors.New(up.Error))
			continue
		}
		fmt.Fprintln(table, strings.Join(up.columns(time.Now()), "\t"))
	}
}

func (l listed) columns(now time.Time) []string {
	size, progress := "?", formatBytes(l.Received)
	if l.Size != nil {
		size = formatBytes(*l.Size)
		progress += fmt.Sprintf(" (%d %%)", 100*l.Received/max(*l.Size, 1))
	}
	return []string{l.ID, l.State, progress, size, age(now.Sub(l.Created)), l.Owner, strings.Map(printable, l.Name)}
}

// printable replaces control characters, which a name may have, by a space.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}

// age formats a duration by its largest unit.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
