package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/holdfast-upload/holdfast"

// floors are the packages from the bottom up. Imports go strictly down: never up,
// and never between two of one floor. A name that ends with "/" stands for all
// that lie below it.
var floors = [][]string{
	{"storage/ranges", "storage/crc32c", "storage/tracing", "storage/internal/lru", "config"},
	{"storage", "storage/tracing/otlp", "client"},
	{"storage/s3/internal/"},      // what only the S3 driver imports
	{"storage/s3/internal/probe"}, // which tries the calls of the above
	{"storage/"},                  // the drivers, and what measures them: only cmd, tests and the root import them
	{"hooks/problem"},
	{"hooks/transport"}, // bodies end with errors of problem
	{"hooks/protocol"},
	{"hooks/"}, // the protocols, and what stands in front of them
	{"hooks/limits/redislimits"},
	{""}, // the root, which assembles the above
	{"cmd/holdfast/internal/stores"},
	{"cmd/holdfast/internal/commands"},
	{"cmd/"},
	{"test/", "test"},
}

const (
	driverFloor = 4
	rootFloor   = 10
)

// tusd may be imported by the package of its protocol, by what speaks its hooks' language, and by what
// is measured here beside it.
const tusd = "github.com/tus/tusd"

// goPackage is what go list prints of a package.
type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func TestImportsGoStrictlyDown(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", "list", "-json", module+"/...")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; found++ {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, wrong := range p.violations() {
			t.Error(wrong)
		}
	}
	if found < 8 {
		t.Errorf("only %d packages were looked at", found)
	}
}

// violations describes each import that is not allowed.
func (p goPackage) violations() []string {
	var wrong []string
	from, _ := relative(p.ImportPath)
	floor, ok := floorOf(from)
	if !ok {
		return []string{from + " stands on no floor: add it to floors"}
	}
	for _, path := range p.Imports {
		if why := forbidden(from, floor, path); why != "" {
			wrong = append(wrong, fmt.Sprintf("%s imports %s: %s", from, path, why))
		}
	}
	for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
		if strings.HasPrefix(path, tusd) && !mayUseTusd(from) {
			wrong = append(wrong, fmt.Sprintf("the tests of %s import tusd", from))
		}
	}
	return wrong
}

// forbidden returns why a package may not import path, "" if it may.
func forbidden(from string, floor int, path string) string {
	if strings.HasPrefix(path, tusd) && !mayUseTusd(from) {
		return "tusd belongs behind hooks/tus and hooks/webhook"
	}
	to, inside := relative(path)
	if !inside {
		return ""
	}
	below, ok := floorOf(to)
	switch {
	case !ok:
		return "it stands on no floor"
	case floor == len(floors)-1:
		return ""
	case below > floor:
		return "imports go down"
	case below == floor:
		return "packages of one floor do not import each other"
	case below == driverFloor && floor < rootFloor:
		return "only the root, cmd and tests import drivers"
	}
	return ""
}

// relative returns the path of a package within the module, "" for its root.
func relative(path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

func mayUseTusd(from string) bool {
	return from == "hooks/tus" || from == "hooks/webhook" || strings.HasPrefix(from, "test/")
}

// floorOf finds the floor of a package: an exact name wins over one ending with "/".
func floorOf(path string) (floor int, ok bool) {
	for i, names := range floors {
		if slices.Contains(names, path) {
			return i, true
		}
	}
	for i, names := range floors {
		for _, name := range names {
			if strings.HasSuffix(name, "/") && strings.HasPrefix(path, name) {
				return i, true
			}
		}
	}
	return 0, false
}

// A rule that nothing can break holds nothing.
func TestImportsThatBreakTheFloorsAreFound(t *testing.T) {
	t.Parallel()
	const handler = tusd + "/v2/pkg/handler"
	wrong := map[string]goPackage{
		"up":                             {ImportPath: module + "/storage", Imports: []string{module + "/hooks/problem"}},
		"from a leaf":                    {ImportPath: module + "/storage/ranges", Imports: []string{module + "/storage"}},
		"from a leaf to another":         {ImportPath: module + "/storage/ranges", Imports: []string{module + "/config"}},
		"from the core to a driver":      {ImportPath: module + "/storage", Imports: []string{module + "/storage/disk"}},
		"from a protocol to a driver":    {ImportPath: module + "/hooks/tus", Imports: []string{module + "/storage/disk"}},
		"from the calls to the layout":   {ImportPath: module + "/storage/s3/internal/api", Imports: []string{module + "/storage/s3/internal/layout"}},
		"from driver to driver":          {ImportPath: module + "/storage/s3", Imports: []string{module + "/storage/disk"}},
		"of what measures by a protocol": {ImportPath: module + "/hooks/protocol", Imports: []string{module + "/storage/instrument"}},
		"from what measures to a driver": {ImportPath: module + "/storage/instrument", Imports: []string{module + "/storage/s3"}},
		"from protocol to protocol":      {ImportPath: module + "/hooks/contentrange", Imports: []string{module + "/hooks/tus"}},
		"from protocol to webhook":       {ImportPath: module + "/hooks/tus", Imports: []string{module + "/hooks/webhook"}},
		"from webhook to protocol":       {ImportPath: module + "/hooks/webhook", Imports: []string{module + "/hooks/contentrange"}},
		"from webhook to a driver":       {ImportPath: module + "/hooks/webhook", Imports: []string{module + "/storage/redis"}},
		"of tusd by another protocol":    {ImportPath: module + "/hooks/contentrange", Imports: []string{handler}},
		"of tusd by a test":              {ImportPath: module + "/hooks/protocol", TestImports: []string{handler}},
		"of tusd by cmd":                 {ImportPath: module + "/cmd/holdfast", Imports: []string{handler}},
		"by a stranger":                  {ImportPath: module + "/util"},
		"of a stranger":                  {ImportPath: module + "/hooks/transport", Imports: []string{module + "/util"}},
		"from the guard to a protocol":   {ImportPath: module + "/hooks/auth", Imports: []string{module + "/hooks/tus"}},
		"from a protocol to the limits":  {ImportPath: module + "/hooks/contentrange", Imports: []string{module + "/hooks/limits"}},
		"from the limits to Redis":       {ImportPath: module + "/hooks/limits", Imports: []string{module + "/storage/redis"}},
	}
	for name, p := range wrong {
		if len(p.violations()) != 1 {
			t.Errorf("import %s: %v", name, p.violations())
		}
	}
	right := []goPackage{
		{ImportPath: module + "/hooks/tus", Imports: []string{handler, module + "/hooks/protocol", module + "/hooks/problem", module + "/storage", module + "/storage/ranges"}},
		{ImportPath: module + "/hooks/webhook", Imports: []string{handler, module + "/hooks/protocol", module + "/storage"}, XTestImports: []string{module + "/storage/storagetest"}},
		{ImportPath: module + "/cmd/holdfast", Imports: []string{module + "/storage/disk", module + "/storage/instrument", module + "/config", module + "/hooks/tus"}},
		{ImportPath: module + "/storage", Imports: []string{module + "/storage/ranges", module + "/storage/tracing"}},
		{ImportPath: module + "/storage/disk", Imports: []string{module + "/storage"}, TestImports: []string{module + "/storage/storagetest"}},
		{ImportPath: module + "/test/peer/tusd", Imports: []string{handler}},
	}
	for _, p := range right {
		for _, found := range p.violations() {
			t.Errorf("allowed, but refused: %s", found)
		}
	}
}
