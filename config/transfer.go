package config

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Remote holds the settings of the commands that speak to an upload server as its client.
type Remote struct {
	Token       string        `name:"token" placeholder:"TOKEN" help:"Bearer token. Other users of this machine may see it on the command line: prefer HOLDFAST_TOKEN or --token-file."`
	TokenFile   string        `name:"token-file" type:"path" placeholder:"FILE" help:"File with the token. It is read for each request, so it may be replaced during an upload."`
	Header      []string      `name:"header" sep:"none" placeholder:"NAME:VALUE" help:"Header for each request. May be repeated."`
	GiveUpAfter time.Duration `name:"give-up-after" default:"15m" placeholder:"TIME" help:"Time without any progress after which to give up; 0 is never."`
	JSON        bool          `name:"json" help:"Print JSON, one object in a line."`
}

func (r Remote) check() error {
	if r.Token != "" && r.TokenFile != "" {
		return errors.New("--token and --token-file exclude each other")
	}
	for _, line := range r.Header {
		if name, _, ok := strings.Cut(line, ":"); !ok || strings.TrimSpace(name) == "" {
			return fmt.Errorf("--header: %q is not NAME:VALUE", line)
		}
	}
	if r.GiveUpAfter < 0 {
		return errors.New("--give-up-after: must not be negative")
	}
	return nil
}

// Upload holds the settings of the command upload.
type Upload struct {
	Remote
	LimitRate   Size              `name:"limit-rate" default:"0" placeholder:"SIZE" help:"Bytes per second to send at most, of all files together; 0 is no limit."`
	Parallel    int               `name:"parallel" default:"16" placeholder:"N" help:"Chunks to send at once at most, where the server takes them in any order."`
	Protocol    string            `name:"protocol" default:"auto" enum:"auto,content-range,tus" placeholder:"NAME" help:"Protocol to speak: auto asks the server; content-range, tus."`
	Name        string            `name:"name" placeholder:"NAME" help:"Name of the file on the server. Default: its name here; none for standard input."`
	ContentType string            `name:"content-type" placeholder:"TYPE" help:"Media type of the files. Default: by their extension."`
	Metadata    map[string]string `name:"metadata" mapsep:"none" placeholder:"KEY=VALUE" help:"Metadata for uploads created at a collection. May be repeated."`
	Resume      bool              `name:"resume" default:"true" negatable:"" help:"Continue an earlier upload of the same file to the same collection."`
	Args        []string          `arg:"" name:"FILE... URL" help:"Files, directories, or - for standard input; then the URL: of a collection if it ends with / or there are several files, else of the upload."`
}

func (u Upload) check() error {
	switch {
	case len(u.Args) < 2:
		return errors.New("upload: a file and a URL are needed, as in holdfast upload video.mp4 https://up.example.com/files/")
	case u.Parallel < 1:
		return errors.New("--parallel: must be at least 1")
	}
	return u.Remote.check()
}

// Download holds the settings of the command download.
type Download struct {
	Remote
	Output string `name:"output" short:"o" placeholder:"FILE" help:"File to write, - for standard output. Default: the last part of the URL."`
	URL    string `arg:"" name:"URL" help:"URL of a complete upload."`
}

// RemoteURLs holds the settings of commands about uploads at given URLs.
type RemoteURLs struct {
	Remote
	URLs []string `arg:"" name:"URL" help:"URLs of uploads."`
}

// List holds the settings of the command ls.
type List struct {
	admin
	All  bool `name:"all" short:"a" help:"List finished uploads too."`
	JSON bool `name:"json" help:"Print JSON, one object in a line."`
}

// Completion holds the settings of the command completion.
type Completion struct {
	Shell string `arg:"" name:"SHELL" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// transfers has the commands of clients.
type transfers struct {
	Upload     Upload     `cmd:"" help:"Upload files to a holdfast or tus server. The same command again continues."`
	Status     RemoteURLs `cmd:"" help:"Print which ranges of uploads the server has."`
	Download   Download   `cmd:"" help:"Download the file of an upload. The same command again continues."`
	Rm         RemoteURLs `cmd:"" name:"rm" help:"Delete uploads."`
	Ls         List       `cmd:"" name:"ls" help:"List the uploads of a server, by its admin address."`
	Completion Completion `cmd:"" help:"Print a script that completes commands and flags in a shell."`
}

// command returns the command of that name, and reports whether it is one of these.
func (t *transfers) command(name string) (c Command, ok bool, err error) {
	name, _, _ = strings.Cut(name, " ")
	c.Name = name
	switch name {
	case "upload":
		c.Upload, err = t.Upload, t.Upload.check()
	case "status":
		c.Remote, err = t.Status, t.Status.check()
	case "rm":
		c.Remote, err = t.Rm, t.Rm.check()
	case "download":
		c.Download, err = t.Download, t.Download.check()
	case "ls":
		c.List, err = t.Ls, t.Ls.check()
	case "completion":
		c.Completion = t.Completion
	default:
		return Command{}, false, nil
	}
	return c, true, err
}
