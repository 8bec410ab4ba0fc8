package config

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"time"

	"github.com/alecthomas/kong"
)

// ErrPrinted is returned by Parse if all that was asked for, the help or the
// version, has been printed.
var ErrPrinted = errors.New("printed")

// Command is what the command line asks for.
type Command struct {
	Name   string   // the command: "serve", "health", "ticket", "deliveries" or "deliveries retry"
	Config Config   // its settings
	Ticket Ticket   // those of the command ticket
	IDs    []string // of uploads, that it is about
}

// World is what Parse needs beside the arguments.
type World struct {
	// Getenv looks an environment variable up, as os.LookupEnv does.
	Getenv func(string) (string, bool)
	// Stdout is where help and version are printed.
	Stdout io.Writer
	// Version is what --version prints.
	Version string
}

// commandLine is the grammar: settings of all commands, and one field for each.
type commandLine struct {
	Config  string           `name:"config" placeholder:"FILE" help:"YAML file of settings: the names below without --, as keys."`
	Version kong.VersionFlag `name:"version" help:"Print the version."`

	Serve Config `cmd:"" default:"withargs" help:"Take uploads and keep them. This is what holdfast does if no command is named."`

	Health health `cmd:"" help:"Ask the server on this machine whether it lives, and exit with 0 if it does: for the health check of a container."`

	Ticket Ticket `cmd:"" help:"Print a ticket: it grants one upload until it expires, to whoever has it."`

	Deliveries deliveries `cmd:"" help:"List or retry the deliveries that the app has not acknowledged."`

	getenv  func(string) (string, bool)
	origins map[string]string // of settings that came from elsewhere than a flag
}

// health is the part of Config that tells where to ask.
type health struct {
	Listen  string `name:"listen" default:":8080" placeholder:"HOST:PORT" help:"Address that the server listens on."`
	TLSCert string `name:"tls-cert" placeholder:"FILE" help:"Set if the server speaks HTTPS."`
}

// deliveries has the commands about pending and dead-lettered deliveries.
type deliveries struct {
	List struct {
		admin
	} `cmd:"" default:"withargs" help:"List the deliveries that the app has not acknowledged, one JSON object in a line."`
	Retry struct {
		admin
		IDs []string `arg:"" optional:"" name:"ID" help:"Ids of uploads; none means all that are pending."`
	} `cmd:"" help:"Deliver them now, dead-lettered or not, and print the result."`
}

// admin is the part of Config that tells where a running server is asked.
type admin struct {
	AdminListen string `name:"admin-listen" aliases:"admin" placeholder:"HOST:PORT" help:"Address of the server's admin listener: its --admin-listen."`
}

func (a admin) check() error {
	if a.AdminListen == "" {
		return errors.New("--admin-listen: say where the server's admin listener is, as in --admin-listen 127.0.0.1:8081, or by HOLDFAST_ADMIN_LISTEN")
	}
	if err := checkAddress(a.AdminListen); err != nil {
		return fmt.Errorf("--admin-listen: %w", err)
	}
	return nil
}

// Parse reads the command line, without the program's name, and all that it
// leaves open from the environment, the YAML file and the defaults. An error
// names each setting that is wrong and tells what is allowed.
func Parse(args []string, world World) (Command, error) {
	cli := &commandLine{getenv: world.Getenv, origins: map[string]string{}}
	printed := false
	parser, err := kong.New(cli, durations,
		kong.Name("holdfast"),
		kong.Vars{"version": "holdfast " + world.Version},
		kong.Writers(world.Stdout, world.Stdout),
		kong.Exit(func(int) { printed = true }),
		kong.Help(printHelp),
		kong.ConfigureHelp(kong.HelpOptions{NoAppSummary: true, WrapUpperBound: 100}),
		kong.ValueFormatter(describe),
	)
	if err != nil {
		return Command{}, err
	}
	ctx, err := parser.Parse(args)
	switch {
	case printed:
		return Command{}, ErrPrinted
	case err != nil:
		return Command{}, err
	}
	return cli.command(ctx)
}

// command is what was asked for, checked.
func (c *commandLine) command(ctx *kong.Context) (Command, error) {
	name := ctx.Command()
	switch list, retry := c.Deliveries.List, c.Deliveries.Retry; name {
	case "health":
		return Command{Name: "health", Config: Config{Listen: c.Health.Listen, TLSCert: c.Health.TLSCert}}, nil
	case "ticket":
		return Command{Name: "ticket", Ticket: c.Ticket}, c.Ticket.validate(c.name)
	case "deliveries list":
		return Command{Name: "deliveries", Config: Config{AdminListen: list.AdminListen}}, list.check()
	case "deliveries retry", "deliveries retry <ID>":
		return Command{Name: "deliveries retry", Config: Config{AdminListen: retry.AdminListen}, IDs: retry.IDs}, retry.check()
	}
	c.Serve.BasePath = slashed(c.Serve.BasePath)
	if err := errors.Join(c.Serve.validate(c.name), c.demands(ctx)); err != nil {
		return Command{}, err
	}
	return Command{Name: name, Config: c.Serve}, nil
}

// BeforeResolve is called by kong once the flags are known: it adds the other
// sources of settings, of which the last has the last word.
func (c *commandLine) BeforeResolve(ctx *kong.Context) error {
	path, err := c.configFile(ctx)
	if err != nil {
		return err
	}
	if path != "" {
		file, err := readFile(path)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name("config"), err)
		}
		ctx.AddResolver(&source{place: file, origins: c.origins})
	}
	ctx.AddResolver(&source{place: environment(c.getenv), origins: c.origins})
	return nil
}

// configFile is the path given by --config or else by the environment.
func (c *commandLine) configFile(ctx *kong.Context) (string, error) {
	for _, flag := range ctx.Model.Flags {
		if flag.Name == "config" && flag.Set {
			return ctx.FlagValue(flag).(string), nil
		}
	}
	env := environment(c.getenv)
	path, ok := c.getenv(env.name("config"))
	if ok {
		c.origins["config"] = env.name("config")
	}
	return path, nil
}

// name is how messages call a setting: by its flag, and by what its user wrote.
func (c *commandLine) name(flag string) string {
	if origin, ok := c.origins[flag]; ok {
		return "--" + flag + ": " + origin
	}
	return "--" + flag
}

// durations tells kong to read durations with a message that says what is allowed.
var durations = kong.TypeMapper(reflect.TypeFor[time.Duration](),
	kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto("duration", &text); err != nil {
			return err
		}
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a duration: a number with a unit, such as 30s, 5m or 24h", text)
		}
		target.SetInt(int64(d))
		return nil
	}))
