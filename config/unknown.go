package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// unknownVariables returns a warning for each variable with the prefix HOLDFAST_ that is not
// a setting, except those that Kubernetes sets for a service called holdfast.
func unknownVariables(app *kong.Application, environ []string) []string {
	known := []string{environment(nil).name("config")}
	for _, command := range app.Leaves(false) {
		for _, flag := range command.Flags {
			known = append(known, environment(nil).name(flag.Name))
		}
	}
	var warnings []string
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		rest, ours := strings.CutPrefix(name, "HOLDFAST_")
		if !ours || slices.Contains(known, name) || strings.HasPrefix(rest, "SERVICE_") || rest == "PORT" || strings.HasPrefix(rest, "PORT_") {
			continue
		}
		warnings = append(warnings, fmt.Sprintf("%s is not a setting", name))
	}
	slices.Sort(warnings)
	return warnings
}
