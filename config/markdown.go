package config

import (
	"cmp"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// WriteMarkdown writes every setting as a Markdown page: a table per group, with the
// flag, the environment variable, the default and the help text.
func WriteMarkdown(w io.Writer) error {
	var groups []string // in the order of their first settings
	rows := map[string]string{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		name, group := field.Tag.Get("name"), field.Tag.Get("group")
		if name == "" {
			continue
		}
		if rows[group] == "" {
			groups = append(groups, group)
		}
		rows[group] += fmt.Sprintf("| `--%s`<br>`%s` | %s | %s |\n",
			escapeCell(flagWithValue(name, field)), environment(nil).name(name), defaultOf(field), escapeCell(field.Tag.Get("help")))
	}
	var b strings.Builder
	b.WriteString(markdownIntro)
	for _, group := range groups {
		fmt.Fprintf(&b, "\n## %s\n\n| setting | default | meaning |\n|---|---|---|\n%s", strings.TrimSuffix(group, ":"), rows[group])
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const markdownIntro = `# Configuration

This page is generated from the code. A setting is a flag (` + "`--max-size 5GiB`" + `), an
environment variable (` + "`HOLDFAST_MAX_SIZE=5GiB`" + `), and a key of the YAML file that
` + "`--config`" + ` names (` + "`max-size: 5GiB`" + `). Later ones win: default, file, environment,
flag. A wrong value is an error at start.
`

// flagWithValue returns the flag as it is typed: --no-NAME for a switch that is on by
// default.
func flagWithValue(name string, field reflect.StructField) string {
	if field.Type.Kind() != reflect.Bool {
		return name + " " + cmp.Or(field.Tag.Get("placeholder"), "VALUE")
	}
	if field.Tag.Get("default") == "true" {
		return "[no-]" + name
	}
	return name
}

func defaultOf(field reflect.StructField) string {
	value := field.Tag.Get("default")
	switch {
	case field.Type.Kind() == reflect.Bool && value == "true":
		return "on"
	case field.Type.Kind() == reflect.Bool:
		return "off"
	case value == "":
		return "none"
	}
	return "`" + value + "`"
}

func escapeCell(text string) string { return strings.ReplaceAll(text, "|", "\\|") }
