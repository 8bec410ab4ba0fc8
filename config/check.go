package config

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"
)

// Setting is a setting as config check prints it.
type Setting struct {
	Name   string // that of its flag
	Value  string // without secrets
	Origin string // the flag, the variable, the key and its file, or "default"
}

// tagSecret marks settings whose values are secrets.
const tagSecret = "secret"

// hidden is printed in place of a secret.
const hidden = "(hidden)"

// settings returns the settings of the selected command, in the order of the help.
func (c *commandLine) settings(ctx *kong.Context) []Setting {
	var all []Setting
	for _, flag := range ctx.Selected().Flags {
		all = append(all, Setting{flag.Name, shown(flag), c.origin(ctx, flag)})
	}
	return all
}

func (c *commandLine) origin(ctx *kong.Context, flag *kong.Flag) string {
	switch origin := c.origins[flag.Name]; {
	case origin != "":
		return origin
	case isSet(ctx, flag):
		return "--" + flag.Name
	}
	return "default"
}

// WriteSettings writes a table of the settings.
func WriteSettings(w io.Writer, settings []Setting) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range settings {
		fmt.Fprintf(table, "%s\t%s\t%s\n", s.Name, s.Value, s.Origin)
	}
	return table.Flush()
}

// shown returns the value of a flag as it can be given, without secrets; "-" is an empty one.
func shown(flag *kong.Flag) string {
	var values []string
	separator := ","
	switch target := flag.Target; target.Kind() {
	case reflect.Slice:
		for i := range target.Len() {
			values = append(values, text(target.Index(i)))
		}
	case reflect.Map:
		separator = ";"
		for _, key := range target.MapKeys() {
			values = append(values, key.String()+"="+withoutSecrets(text(target.MapIndex(key))))
		}
		slices.Sort(values)
	default:
		values = []string{text(target)}
	}
	for i, value := range values {
		if values[i] = withoutSecrets(value); value != "" && flag.Tag.Has(tagSecret) {
			values[i] = hidden
		}
	}
	return cmp.Or(strings.Join(values, separator), "-")
}

// text returns a single value as it can be given.
func text(value reflect.Value) string {
	switch v := value.Interface().(type) {
	case Size:
		return v.text()
	case FileMode:
		return fmt.Sprintf("%04o", uint32(v))
	case time.Duration:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	case string:
		if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' }) {
			return strconv.Quote(v)
		}
		return v
	}
	return fmt.Sprint(value.Interface())
}

// text returns a size with the largest unit of which it is a whole number.
func (s Size) text() string {
	for _, unit := range []string{"TiB", "TB", "GiB", "GB", "MiB", "MB", "KiB", "KB"} {
		if n := sizeUnits[strings.ToLower(unit)]; s > 0 && int64(s)%n == 0 {
			return strconv.FormatInt(int64(s)/n, 10) + unit
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// plainParameters are the query parameters of URLs that are no secrets: those of Redis.
var plainParameters = []string{"addr", "master_name", "db", "protocol"}

// withoutSecrets hides the user and the parameters of a URL, which may be a password and
// tokens.
func withoutSecrets(value string) string {
	u, err := url.Parse(value)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return value
	}
	user, query := "", ""
	if u.User != nil {
		user = hidden + "@"
	}
	for name, values := range u.Query() {
		for _, v := range values {
			if !slices.Contains(plainParameters, name) {
				v = hidden
			}
			query += "&" + name + "=" + v
		}
	}
	if query != "" {
		parts := strings.Split(query[1:], "&")
		slices.Sort(parts)
		query = "?" + strings.Join(parts, "&")
	}
	return u.Scheme + "://" + user + u.Host + u.EscapedPath() + query
}
