package config

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// ErrPrinted is returned by Parse if it has printed the help or the version, and nothing is
// left to do.
var ErrPrinted = errors.New("printed")

// Command is a parsed command line.
type Command struct {
	Name       string     // its words, without arguments: "serve", "ticket create"
	Config     Config     // the settings of all commands but ticket create
	Ticket     Ticket     // the settings of ticket create
	IDs        []string   // the uploads of deliveries retry
	Upload     Upload     // the settings of upload
	Download   Download   // the settings of download
	Remote     RemoteURLs // the settings of status and rm
	List       List       // the settings of ls
	Completion Completion // the settings of completion
	Settings   []Setting  // of config check
	Warnings   []string   // about settings that have no effect
}

// Env is the environment of Parse.
type Env struct {
	// Getenv looks up an environment variable, as os.LookupEnv does.
	Getenv func(string) (string, bool)
	// Environ lists the environment, as os.Environ does; nil lists nothing.
	Environ func() []string
	// Stdout is where help and version are printed.
	Stdout io.Writer
	// Version is what --version prints.
	Version string
}

// commandLine is the grammar: settings of all commands, and a field for each command.
type commandLine struct {
	Config  string           `name:"config" placeholder:"FILE" help:"YAML file of settings: the names below without --, as keys."`
	Version kong.VersionFlag `name:"version" help:"Print the version."`

	Serve Config `cmd:"" default:"withargs" help:"Accept uploads. This is the default command."`

	CheckStore Config `cmd:"" name:"check-store" help:"Try what the store of these settings can do, print it, and exit with 1 if holdfast can't work with it."`

	Settings struct {
		Check Config `cmd:"" help:"Print the settings as the server would understand them, each with where it comes from, without secrets. Exit with 2 if they are wrong."`
	} `cmd:"" name:"config" help:"Check the settings."`

	Health health `cmd:"" help:"Exit with 0 if the server on this machine is alive: for the health check of a container."`

	Ticket struct {
		Create Ticket `cmd:"" help:"Print a ticket, which grants one upload to its bearer until it expires."`
	} `cmd:"" help:"Create tickets."`

	Deliveries deliveries `cmd:"" help:"List or retry the deliveries that the app has not acknowledged."`

	transfers

	getenv  func(string) (string, bool)
	origins map[string]string // by flag: the name in the source that the setting came from
}

// health is the part of Config that locates the server.
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

// admin is the part of Config that locates the admin address of a running server.
type admin struct {
	AdminListen string `name:"admin-listen" aliases:"admin" placeholder:"HOST:PORT" help:"The --admin-listen of the server."`
}

func (a admin) check() error {
	if a.AdminListen == "" {
		return errors.New("--admin-listen is missing: the address of the server, as in --admin-listen 127.0.0.1:8081, or HOLDFAST_ADMIN_LISTEN")
	}
	if err := checkAddress(a.AdminListen); err != nil {
		return fmt.Errorf("--admin-listen: %w", err)
	}
	return nil
}

// Parse parses the command line, without the program's name. Settings that are not given as
// flags come from the environment, the YAML file and the defaults. An error names each
// invalid setting and the values allowed.
func Parse(args []string, env Env) (Command, error) {
	cli := &commandLine{getenv: env.Getenv, origins: map[string]string{}}
	printed := false
	parser, err := kong.New(cli, durations,
		kong.Name("holdfast"),
		kong.Vars{"version": "holdfast " + env.Version},
		kong.Writers(env.Stdout, env.Stdout),
		kong.Exit(func(int) { printed = true }),
		kong.Help(printHelp),
		kong.ConfigureHelp(kong.HelpOptions{NoAppSummary: true, WrapUpperBound: 100}),
		kong.ValueFormatter(flagHelp),
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
	command, err := cli.command(ctx)
	if env.Environ != nil {
		command.Warnings = unknownVariables(ctx.Model, env.Environ())
	}
	return command, err
}

// command returns the selected command, validated.
func (c *commandLine) command(ctx *kong.Context) (Command, error) {
	name := ctx.Command()
	if command, ok, err := c.transfers.command(name); ok {
		return command, err
	}
	switch list, retry := c.Deliveries.List, c.Deliveries.Retry; name {
	case "health":
		return Command{Name: "health", Config: Config{Listen: c.Health.Listen, TLSCert: c.Health.TLSCert}}, nil
	case "ticket create":
		return Command{Name: name, Ticket: c.Ticket.Create}, c.Ticket.Create.validate(c.name)
	case "deliveries list":
		return Command{Name: "deliveries", Config: Config{AdminListen: list.AdminListen}}, list.check()
	case "deliveries retry", "deliveries retry <ID>":
		return Command{Name: "deliveries retry", Config: Config{AdminListen: retry.AdminListen}, IDs: retry.IDs}, retry.check()
	}
	cfg := &c.Serve
	switch name {
	case "check-store":
		cfg = &c.CheckStore
	case "config check":
		cfg = &c.Settings.Check
	}
	cfg.BasePath = normalizePath(cfg.BasePath)
	if cfg.PublicURL != "" {
		cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/") + "/"
	}
	if err := errors.Join(cfg.validate(c.name), c.constraints(ctx)); err != nil {
		return Command{}, err
	}
	return Command{Name: name, Config: *cfg, Settings: c.settings(ctx)}, nil
}

// BeforeResolve is called by kong once the flags are known. It adds the other sources of
// settings, the later of which win.
func (c *commandLine) BeforeResolve(ctx *kong.Context) error {
	path, err := c.configFile(ctx)
	if err != nil {
		return err
	}
	if path != "" {
		file, err := openFile(path)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name("config"), err)
		}
		ctx.AddResolver(&resolver{origin: file, origins: c.origins})
	}
	ctx.AddResolver(&resolver{origin: environment(c.getenv), origins: c.origins})
	return nil
}

// configFile returns the path given by --config or else by the environment.
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

// name returns how messages name a setting: its flag, and where it came from.
func (c *commandLine) name(flag string) string {
	if origin, ok := c.origins[flag]; ok {
		return "--" + flag + ": " + origin
	}
	return "--" + flag
}

// durations makes kong parse durations with an error that names the format.
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
