package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
)

// origin is a source of settings other than the command line.
type origin interface {
	// name returns how the setting of a flag is named there.
	name(flag string) string
	// look returns the value of a flag there, and reports whether there is one.
	look(flag *kong.Flag) (text string, ok bool, err error)
	// check returns an error if anything there is not a setting.
	check(settings []string) error
}

// resolver makes kong take settings that are not given as flags from an origin.
type resolver struct {
	origin
	origins map[string]string // see commandLine
}

var _ kong.Resolver = (*resolver)(nil)

// Validate implements kong.Resolver.
func (s *resolver) Validate(app *kong.Application) error {
	var settings []string
	for _, command := range app.Children {
		for _, flag := range command.Flags {
			settings = append(settings, flag.Name)
		}
	}
	slices.Sort(settings)
	return s.check(slices.Compact(settings))
}

// Resolve implements kong.Resolver. The flags of the program itself, such as --help, are
// not settings.
func (s *resolver) Resolve(_ *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	if parent.App != nil {
		return nil, nil
	}
	text, ok, err := s.look(flag)
	if err == nil && ok {
		_, err = read(flag, text) // only for its error: kong's would not name the origin
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name(flag.Name), err)
	}
	if !ok {
		return nil, nil
	}
	s.origins[flag.Name] = s.name(flag.Name)
	return text, nil
}

// read returns text as a value of the flag.
func read(flag *kong.Flag, text string) (reflect.Value, error) {
	scan := kong.Scan().PushTyped(text, kong.FlagValueToken)
	value := reflect.New(flag.Target.Type()).Elem()
	return value, flag.Mapper.Decode(&kong.DecodeContext{Value: flag.Value, Scan: scan}, value)
}

// environment is an origin: the variables of the process.
type environment func(string) (string, bool)

func (environment) name(flag string) string {
	return "HOLDFAST_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func (e environment) look(flag *kong.Flag) (string, bool, error) {
	text, ok := e(e.name(flag.Name))
	return text, ok, nil
}

// check allows everything: an orchestrator may set variables with our prefix, as
// Kubernetes does for a service called holdfast. See unknownVariables.
func (environment) check([]string) error { return nil }

// file is an origin: a YAML file of settings.
type file struct {
	path   string
	values map[string]any
}

func openFile(path string) (*file, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	f := &file{path: path}
	decoder := yaml.NewDecoder(in)
	if err := decoder.Decode(&f.values); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var more any
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: contains more than one YAML document", path)
	}
	return f, nil
}

func (f *file) name(flag string) string { return flag + " in " + f.path }

func (f *file) look(flag *kong.Flag) (string, bool, error) {
	value, ok := f.values[flag.Name]
	if !ok {
		return "", false, nil
	}
	if mode, ok := value.(uint64); ok && flag.Target.Type() == reflect.TypeFor[FileMode]() {
		return fmt.Sprintf("0%o", mode), true, nil // YAML has read the octal number
	}
	list, isList := value.([]any)
	if !isList {
		text, err := scalar(value)
		return text, true, err
	}
	if !flag.IsSlice() {
		return "", true, errors.New("takes one value, not a list")
	}
	var texts []string
	for _, value := range list {
		text, err := scalar(value)
		if err != nil {
			return "", true, err
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ","), true, nil
}

// scalar returns the text of a YAML value, to be parsed like that of a flag.
func scalar(value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "", errors.New("has no value")
	case string, bool, int64, uint64, float64:
		return fmt.Sprint(v), nil
	default:
		return "", errors.New("takes a plain value")
	}
}

func (f *file) check(settings []string) error {
	var unknown []string
	for _, key := range slices.Sorted(maps.Keys(f.values)) {
		if !slices.Contains(settings, key) {
			unknown = append(unknown, fmt.Sprintf("%q", key))
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	return fmt.Errorf("%s: unknown key %s; the keys are %s",
		f.path, strings.Join(unknown, ", "), strings.Join(settings, ", "))
}
