package config

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// WriteCompletion writes a script that completes commands and flags in bash, zsh or fish.
func WriteCompletion(w io.Writer, shell string) error {
	parser, err := kong.New(&commandLine{}, durations, kong.Name("holdfast"), kong.Vars{"version": ""})
	if err != nil {
		return err
	}
	script := map[string]func(*kong.Node) string{
		"bash": bashCompletion,
		"zsh":  func(app *kong.Node) string { return zshIntro + bashCompletion(app) },
		"fish": fishCompletion,
	}[shell]
	if script == nil {
		return fmt.Errorf("no completion for %q: bash, zsh or fish", shell)
	}
	_, err = io.WriteString(w, script(parser.Model.Node))
	return err
}

const zshIntro = `#compdef holdfast
autoload -U +X bashcompinit && bashcompinit
`

const bashStart = `# holdfast completion: source this file, or put it where the shell looks for completions.
_holdfast() {
	local cur=${COMP_WORDS[COMP_CWORD]} path="" word flags="" words=""
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case $word in
		-*) ;;
		*) case "$path $word" in
`

const bashEnd = `	esac
	COMPREPLY=()
	case $cur in
	-*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
	*) if [ -n "$words" ]; then COMPREPLY=($(compgen -W "$words" -- "$cur")); else COMPREPLY=($(compgen -f -- "$cur")); fi ;;
	esac
}
complete -o filenames -F _holdfast holdfast
`

// bashCompletion follows the words of the command line down the tree of commands.
func bashCompletion(app *kong.Node) string {
	var follow, offer strings.Builder
	for _, node := range nodes(app) {
		path := nodePath(node)
		if path != "" {
			fmt.Fprintf(&follow, "\t\t\t%q) path=%q ;;\n", parentPath(path), path)
		}
		fmt.Fprintf(&offer, "\t%q) flags=%q words=%q ;;\n", path, strings.Join(flagNames(node), " "), strings.Join(childNames(node), " "))
	}
	return bashStart + follow.String() + "\t\t\tesac ;;\n\t\tesac\n\tdone\n\tcase $path in\n" + offer.String() + bashEnd
}

// parentPath is how bashStart spells a step to the node at a path: "PARENT WORD".
func parentPath(path string) string {
	if i := strings.LastIndexByte(path, ' '); i >= 0 {
		return path
	}
	return " " + path
}

func fishCompletion(app *kong.Node) string {
	var b strings.Builder
	for _, node := range nodes(app) {
		condition := "__fish_use_subcommand"
		if path := nodePath(node); path != "" {
			condition = "__fish_seen_subcommand_from " + node.Name
		}
		for _, child := range node.Children {
			fmt.Fprintf(&b, "complete -c holdfast -f -n '%s' -a %s -d %s\n", condition, child.Name, quoteFish(firstSentence(child.Help)))
		}
		for _, flag := range flagsOf(node) {
			value := " -r"
			if flag.IsBool() {
				value = ""
			}
			fmt.Fprintf(&b, "complete -c holdfast -n '%s' -l %s%s -d %s\n", condition, flag.Name, value, quoteFish(firstSentence(flag.Help)))
		}
	}
	return b.String()
}

func quoteFish(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

func firstSentence(s string) string {
	first, _, _ := strings.Cut(s, ". ")
	return strings.TrimSuffix(first, ".")
}

// nodes returns app and all commands below it.
func nodes(app *kong.Node) []*kong.Node {
	all := []*kong.Node{app}
	for _, child := range app.Children {
		all = append(all, nodes(child)...)
	}
	return all
}

func nodePath(node *kong.Node) string {
	if node.Type == kong.ApplicationNode {
		return ""
	}
	return strings.TrimSpace(nodePath(node.Parent) + " " + node.Name)
}

// flagsOf returns the flags of a command, those of the default command for the program.
func flagsOf(node *kong.Node) []*kong.Flag {
	flags := node.Flags
	if node.DefaultCmd != nil {
		flags = append(flags[:len(flags):len(flags)], node.DefaultCmd.Flags...)
	}
	return flags
}

func flagNames(node *kong.Node) (names []string) {
	for _, flag := range flagsOf(node) {
		names = append(names, "--"+flag.Name)
		if flag.Negated || flag.Tag.Negatable != "" {
			names = append(names, "--no-"+flag.Name)
		}
	}
	return append(names, "--help")
}

func childNames(node *kong.Node) (names []string) {
	for _, child := range node.Children {
		names = append(names, child.Name)
	}
	return names
}
