package rules

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

func noWorkspace(t *Tree) []string { return t.Work }

// modulesLine is where the Makefile lists the modules it loops over.
var modulesLine = regexp.MustCompile(`(?m)^MODULES\s*:?=\s*(.*)$`)

func knownModules(t *Tree) []string {
	match := modulesLine.FindStringSubmatch(t.Makefile)
	if match == nil {
		return []string{"Makefile: there is no list MODULES"}
	}
	listed := strings.Fields(match[1])
	var breaches []string
	for _, dir := range sortedKeys(t.Modules) {
		if !slices.Contains(listed, dir) {
			breaches = append(breaches, path.Join(dir, "go.mod")+": the module is not in the Makefile's MODULES")
		}
		if want := path.Join(root, dir); t.Modules[dir].Module.Mod.Path != want {
			breaches = append(breaches, fmt.Sprintf("%s: the module is named %s, want %s", path.Join(dir, "go.mod"), t.Modules[dir].Module.Mod.Path, want))
		}
	}
	for _, dir := range listed {
		if t.Modules[dir] == nil {
			breaches = append(breaches, fmt.Sprintf("Makefile: MODULES names %s, which is no module", dir))
		}
	}
	return breaches
}

func replaceInside(t *Tree) []string {
	var breaches []string
	for _, dir := range sortedKeys(t.Modules) {
		for _, r := range t.Modules[dir].Replace {
			target := path.Join(dir, r.New.Path)
			if !strings.HasPrefix(r.New.Path, ".") || target == ".." || strings.HasPrefix(target, "../") || t.Modules[target] == nil {
				breaches = append(breaches, fmt.Sprintf("%s: %s is replaced by %s", path.Join(dir, "go.mod"), r.Old.Path, r.New.Path))
			}
		}
	}
	return breaches
}

// The direct requirements of the modules that other people's programs take in, each at its floor.
var (
	pluginFloor = []string{
		"github.com/MicahParks/keyfunc/v3 v3.8.0",
		"github.com/allegro/bigcache/v3 v3.1.0",
		"github.com/golang-jwt/jwt/v5 v5.2.2",
	}
	apiguardFloor = []string{
		"github.com/MicahParks/keyfunc/v3 v3.8.0",
		"github.com/golang-jwt/jwt/v5 v5.2.2",
	}
)

// timeCeiling is the newest golang.org/x/time that the oldest supported gateway has; it comes in by keyfunc.
const timeCeiling = "v0.9.0"

func pluginRequirements(t *Tree) []string {
	breaches := requires(t, "plugins", pluginFloor)
	if mod := t.Modules["plugins"]; mod != nil {
		for _, r := range mod.Require {
			if r.Mod.Path == "golang.org/x/time" && semver.Compare(r.Mod.Version, timeCeiling) > 0 {
				breaches = append(breaches, fmt.Sprintf("plugins/go.mod: %v is above %s", r.Mod, timeCeiling))
			}
		}
	}
	return breaches
}

func apiguardRequirements(t *Tree) []string { return requires(t, "apiguard", apiguardFloor) }

// requires compares a module's direct requirements with exactly these.
func requires(t *Tree, dir string, want []string) []string {
	mod := t.Modules[dir]
	if mod == nil {
		return []string{dir + "/go.mod: there is no such module"}
	}
	var breaches []string
	have := direct(mod)
	for _, r := range have {
		if !slices.Contains(want, r) {
			breaches = append(breaches, fmt.Sprintf("%s/go.mod: requires %s directly, which is not one of %s", dir, r, strings.Join(want, ", ")))
		}
	}
	for _, r := range want {
		if !slices.Contains(have, r) {
			breaches = append(breaches, fmt.Sprintf("%s/go.mod: lacks %s", dir, r))
		}
	}
	return breaches
}

func direct(mod *modfile.File) []string {
	var all []string
	for _, r := range mod.Require {
		if !r.Indirect {
			all = append(all, r.Mod.Path+" "+r.Mod.Version)
		}
	}
	return all
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
