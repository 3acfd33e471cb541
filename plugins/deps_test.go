package plugins_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// floors are all that this module, its tests included, may require directly, in the lowest version that any supported
// gateway has. A Tyk plugin shares its packages with the gateway and is refused when one of them is newer, so a version
// is raised by the gateway's list and never here.
var floors = map[string]string{
	"github.com/MicahParks/keyfunc/v3": "v3.8.0", // v3.8.1 raises jwt to v5.3.1, which gateways with v5.3.0 refuse
	"github.com/allegro/bigcache/v3":   "v3.1.0",
	"github.com/golang-jwt/jwt/v5":     "v5.2.2",
}

// ceilings bound what comes along indirectly: the oldest supported gateway has this.
var ceilings = map[string]string{
	"github.com/MicahParks/jwkset": "v0.11.0", // what keyfunc v3.8.0 asks for
	"golang.org/x/time":            "v0.9.0",
}

const goFloor = "1.25.0" // the oldest Go that a supported gateway is built with

type requirement struct {
	Path, Version string
	Indirect      bool
}

func TestRequirements(t *testing.T) {
	var mod struct {
		Go      string
		Require []requirement
		Replace []any
	}
	if err := json.Unmarshal(run(t, "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	for _, problem := range judgeRequirements(mod.Require) {
		t.Error(problem)
	}
	if mod.Go != goFloor {
		t.Errorf("go %s, want %s", mod.Go, goFloor)
	}
	if len(mod.Replace) > 0 {
		t.Error("a replace here is ignored by whoever builds a plugin; remove it")
	}
}

func judgeRequirements(required []requirement) (problems []string) {
	direct := map[string]string{}
	for _, r := range required {
		if !r.Indirect {
			direct[r.Path] = r.Version
		} else if ceilings[r.Path] != r.Version {
			problems = append(problems, r.Path+" "+r.Version+" has come along; it must be one of the ceilings, in that version")
		}
	}
	if !maps.Equal(direct, floors) {
		problems = append(problems, strings.Join(slices.Sorted(maps.Keys(direct)), ", ")+" are required directly, or in other versions than the floors; tests that need more live in testbed")
	}
	return problems
}

func TestRequirementsControl(t *testing.T) {
	good := []requirement{
		{"github.com/MicahParks/keyfunc/v3", "v3.8.0", false}, {"github.com/allegro/bigcache/v3", "v3.1.0", false},
		{"github.com/golang-jwt/jwt/v5", "v5.2.2", false}, {"golang.org/x/time", "v0.9.0", true},
	}
	if problems := judgeRequirements(good); problems != nil {
		t.Errorf("refused: %v", problems)
	}
	for name, bad := range map[string][]requirement{
		"one more":        append(slices.Clone(good), requirement{"golang.org/x/sync", "v0.1.0", false}),
		"one raised":      {{"github.com/MicahParks/keyfunc/v3", "v3.8.1", false}, good[1], good[2]},
		"one missing":     good[1:],
		"indirect raised": append(slices.Clone(good[:3]), requirement{"golang.org/x/time", "v0.10.0", true}),
		"indirect new":    append(slices.Clone(good), requirement{"golang.org/x/crypto", "v0.49.0", true}),
	} {
		if judgeRequirements(bad) == nil {
			t.Errorf("%s: passed", name)
		}
	}
}

// forbidden lists import paths that production code here must not reach, each with its reason.
var forbidden = map[string]string{
	"github.com/phantomgate/phantomgate/authserver": "issuer and gateway meet on the wire only",
	"github.com/phantomgate/phantomgate/apiguard":   "it is for APIs; a gateway's verification is its own",
	"github.com/phantomgate/phantomgate/testbed":    "it is for tests",
	"github.com/caddyserver/caddy":                  "the core knows no gateway",
	"github.com/TykTechnologies":                    "the core knows no gateway",
	"testing":                                       "production code needs no tests; plugintest alone does",
	"net/http/httptest":                             "production code needs no tests; plugintest alone does",
	"database/sql":                                  "the gateway keeps nothing",
}

func TestImports(t *testing.T) {
	const module = "github.com/phantomgate/phantomgate/plugins/"
	for _, room := range []string{"gateway", "policy", "phantomtoken", "tokenhandler", "feed", "claims"} {
		deps := strings.Fields(string(run(t, "list", "-deps", "./"+room)))
		for _, problem := range judgeImports(deps) {
			t.Errorf("%s: %s", room, problem)
		}
		for _, dep := range deps {
			own, ok := strings.CutPrefix(dep, module)
			if ok && own != room && !slices.Contains(below[room], own) {
				t.Errorf("%s imports %s: imports point from wiring to rooms to leaves", room, own)
			}
		}
	}
}

// below lists the rooms that each may lean on.
var below = map[string][]string{
	"gateway": {"policy", "phantomtoken", "tokenhandler", "feed", "claims"}, "phantomtoken": {"policy", "feed", "claims"}, "tokenhandler": {"policy", "claims"},
}

func judgeImports(deps []string) (problems []string) {
	for _, dep := range deps {
		for path, reason := range forbidden {
			if dep == path || strings.HasPrefix(dep, path+"/") {
				problems = append(problems, dep+" is reached: "+reason)
			}
		}
	}
	return problems
}

func TestImportsControl(t *testing.T) {
	if problems := judgeImports([]string{"net/http", "github.com/phantomgate/phantomgate/plugins/policy"}); problems != nil {
		t.Errorf("refused: %v", problems)
	}
	for _, bad := range []string{"testing", "github.com/phantomgate/phantomgate/authserver/internal/tokens", "github.com/TykTechnologies/tyk/ctx"} {
		if judgeImports([]string{bad}) == nil {
			t.Errorf("%s passed", bad)
		}
	}
}

// run returns what the go command prints.
func run(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("go", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return out
}
