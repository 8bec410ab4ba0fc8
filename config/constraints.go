package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Constraints in the tags of a setting:
//
//	nonempty:"true"  the setting may be omitted, but not empty: an unset variable, as in
//	                 --ticket-secret "$SECRET", must not make the server accept anyone.
//	requires:"a,b"   the setting has no effect without one of the settings a and b.
const (
	tagNonempty = "nonempty"
	tagRequires = "requires"
)

// constraints returns an error about every setting of the selected command that violates
// the constraints in its tags.
func (c *commandLine) constraints(ctx *kong.Context) error {
	var wrong []error
	command := ctx.Selected()
	for _, flag := range command.Flags {
		switch required := names(flag.Tag.Get(tagRequires)); {
		case flag.Tag.Has(tagNonempty) && isSet(ctx, flag) && empty(flag):
			wrong = append(wrong, fmt.Errorf("%s: %w", c.name(flag.Name), errEmpty))
		case len(required) > 0 && isNonDefault(flag) && !slices.ContainsFunc(command.Flags, anyNonempty(required)):
			wrong = append(wrong, fmt.Errorf("%s: has no meaning without --%s", c.name(flag.Name), strings.Join(required, " or --")))
		}
	}
	return errors.Join(wrong...)
}

var errEmpty = errors.New("is empty: give it a value, or leave it out")

func names(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

// isSet reports whether a setting was given in any source, even if it is empty.
func isSet(ctx *kong.Context, flag *kong.Flag) bool {
	return slices.ContainsFunc(ctx.Path, func(p *kong.Path) bool { return p.Flag == flag })
}

// empty reports whether a setting that is a string, a list or a map is empty.
func empty(flag *kong.Flag) bool {
	switch flag.Target.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		return flag.Target.Len() == 0
	}
	return false
}

// isNonDefault reports whether a setting differs from its default.
func isNonDefault(flag *kong.Flag) bool {
	standard := reflect.Zero(flag.Target.Type())
	if flag.HasDefault {
		var err error
		if standard, err = read(flag, flag.Default); err != nil {
			panic(err) // a default in the tags is wrong
		}
	}
	return !empty(flag) && !reflect.DeepEqual(flag.Target.Interface(), standard.Interface())
}

func anyNonempty(settings []string) func(*kong.Flag) bool {
	return func(flag *kong.Flag) bool { return slices.Contains(settings, flag.Name) && !empty(flag) }
}
