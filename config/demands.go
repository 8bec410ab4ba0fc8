package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// What the tags of a setting demand, beside its own value:
//
//	filled:"true"    whoever gives the setting gives it a value. A variable that was
//	                 forgotten, as in --ticket-secret "$SECRET", must not open the server.
//	needs:"a,b"      the setting means nothing without one of the settings a and b.
const (
	tagFilled = "filled"
	tagNeeds  = "needs"
)

// demands returns an error about every setting of the command that was called whose tags
// demand what is not the case.
func (c *commandLine) demands(ctx *kong.Context) error {
	var wrong []error
	command := ctx.Selected()
	for _, flag := range command.Flags {
		switch needed := names(flag.Tag.Get(tagNeeds)); {
		case flag.Tag.Has(tagFilled) && given(ctx, flag) && empty(flag):
			wrong = append(wrong, fmt.Errorf("%s: %w", c.name(flag.Name), errEmpty))
		case len(needed) > 0 && changed(flag) && !slices.ContainsFunc(command.Flags, filledOneOf(needed)):
			wrong = append(wrong, fmt.Errorf("%s: is set without --%s, and means nothing then", c.name(flag.Name), strings.Join(needed, " or --")))
		}
	}
	return errors.Join(wrong...)
}

var errEmpty = errors.New("is given, and empty: give it a value, or leave it out")

func names(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

// given tells whether a setting was written down anywhere, with a value or without.
func given(ctx *kong.Context, flag *kong.Flag) bool {
	return slices.ContainsFunc(ctx.Path, func(p *kong.Path) bool { return p.Flag == flag })
}

// empty tells whether a setting that is a text, or several, has none.
func empty(flag *kong.Flag) bool {
	switch flag.Target.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		return flag.Target.Len() == 0
	}
	return false
}

// changed tells whether a setting says something else than its default.
func changed(flag *kong.Flag) bool {
	usual := reflect.Zero(flag.Target.Type())
	if flag.HasDefault {
		var err error
		if usual, err = read(flag, flag.Default); err != nil {
			panic(err) // a default in the tags is wrong
		}
	}
	return !empty(flag) && !reflect.DeepEqual(flag.Target.Interface(), usual.Interface())
}

func filledOneOf(settings []string) func(*kong.Flag) bool {
	return func(flag *kong.Flag) bool { return slices.Contains(settings, flag.Name) && !empty(flag) }
}
