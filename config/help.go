package config

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

const intro = `
Every setting below is also an environment variable and a key of the file that
--config names: --max-size is HOLDFAST_MAX_SIZE and max-size. A flag wins over
the environment, the environment over the file, the file over the default.
TIME is a number with a unit: 500ms, 30s, 5m, 24h. Settings that decide who has
access or where bytes go (secrets, certificates, the bucket, the URLs of keys
and of the app) must not be empty if they are given.
`

const examples = `
Examples:
  holdfast --listen :8080 --data /srv/uploads --max-size 10GiB
  holdfast --base-path /uploads/ --cors-origin https://app.example.com --log-format json
  HOLDFAST_LISTEN=127.0.0.1:0 holdfast serve --config /etc/holdfast.yaml
`

// printHelp prints an introduction, kong's help and examples. The help of the program is
// that of its default command, followed by the list of commands.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	command, usage := ctx.Selected(), "holdfast %s [flags]"
	whole := command == nil
	if whole {
		command, usage = ctx.Model.DefaultCmd, "holdfast [%s] [flags]"
		ctx.Path = append(ctx.Path, &kong.Path{Parent: ctx.Model.Node, Command: command, Flags: command.Flags})
	}
	fmt.Fprintf(ctx.Stdout, "Usage: "+usage+"\n\n%s\n%s", commandName(command)+arguments(command), command.Help, intro)
	command.Help = "" // printed already
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	if command == ctx.Model.DefaultCmd {
		fmt.Fprint(ctx.Stdout, examples)
	}
	if whole {
		printCommands(ctx)
	}
	return nil
}

func printCommands(ctx *kong.Context) {
	fmt.Fprint(ctx.Stdout, "\nCommands:\n")
	for _, command := range ctx.Model.Leaves(true) {
		fmt.Fprintf(ctx.Stdout, "  %-17s  %s\n", commandName(command), command.Tag.Help)
	}
	fmt.Fprint(ctx.Stdout, "\nRun \"holdfast COMMAND --help\" for the settings of a command.\n")
}

// commandName returns the words of a command after the program's name.
func commandName(command *kong.Node) string {
	return strings.TrimPrefix(command.FullPath(), "holdfast ")
}

// arguments returns the arguments of a command after its flags.
func arguments(command *kong.Node) string {
	var text string
	for _, arg := range command.Positional {
		text += " " + arg.Name
		if arg.IsCumulative() && !strings.Contains(arg.Name, "...") {
			text += "..."
		}
	}
	return text
}

// flagHelp returns the help text of a flag with its default.
func flagHelp(value *kong.Value) string {
	if !value.HasDefault {
		return value.Help
	}
	shown := value.Default
	if value.IsBool() {
		shown = map[string]string{"true": "on", "false": "off"}[shown]
	}
	return fmt.Sprintf("%s (default %s)", strings.TrimSuffix(value.Help, "."), shown)
}
