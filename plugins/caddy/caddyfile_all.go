package caddy

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/phantomgate/phantomgate/plugins/gateway"
)

// appOption is what the directives have to know of the global option.
type appOption struct {
	given  bool
	tokens *gateway.TokenHandler
	faults []string
}

// readOption takes it from what parseApp returned, if it was called.
func readOption(option any) appOption {
	value, ok := option.(httpcaddyfile.App)
	if !ok {
		return appOption{}
	}
	var app App
	a := appOption{given: true}
	err := json.Unmarshal(value.Value, &app)
	if err == nil && app.TokenHandler != nil {
		err = json.Unmarshal(app.TokenHandler, &a.tokens)
	}
	if a.faults = app.CaddyfileFaults; err != nil {
		a.faults = append(a.faults, err.Error())
	}
	return a
}

func (r *report) needsApp(d *caddyfile.Dispenser, directive string, app appOption) {
	if !app.given {
		r.fault(d, "%s needs to know the issuer; add to the global options at the top of the Caddyfile: %s { issuer <name> { ... } }", directive, appName)
	}
}

// collecting is the option of an adaptation in which the directives note their faults in a *collection and refuse nothing.
const collecting = appName + " faults"

type collection struct {
	app    []string
	faults []placedFault
}

// refuse returns what is wrong with the directive at h, with the global option, and, when anything is, with every other
// directive of ours in the Caddyfile: Caddy stops at the first error, and an operator wants to know them all.
func (r *report) refuse(h httpcaddyfile.Helper, app appOption) error {
	if all, ok := h.Option(collecting).(*collection); ok {
		all.app = app.faults
		for _, fault := range r.faults {
			if !slices.Contains(all.faults, fault) { // a snippet's faults are found wherever it is imported
				all.faults = append(all.faults, fault)
			}
		}
		return nil
	}
	if len(r.faults) == 0 && len(app.faults) == 0 {
		return nil
	}
	name, _ := h.Option("filename").(string)
	others, ofCaddy, ok := adaptAgain(name)
	if !ok || !slices.Equal(others.app, app.faults) || !containsAll(others.faults, r.faults) {
		return fmt.Errorf("\n%w", joinLines(append(slices.Concat(app.faults, r.lines()),
			"(This Caddyfile cannot be read a second time, so this may not be all: later blocks were not looked at.)")))
	}
	lines := slices.Concat(app.faults, (&report{faults: others.faults}).lines())
	if ofCaddy != nil {
		lines = append(lines, ofCaddy.Error())
	}
	return fmt.Errorf("\n%w", joinLines(lines))
}

// adaptAgain has Caddy walk the whole Caddyfile, collecting our faults, and returns also what Caddy itself says of it. The
// file is not ok when there is none: one that came on stdin, or by Caddy's admin API.
func adaptAgain(name string) (all collection, ofCaddy error, ok bool) {
	body, err := os.ReadFile(name)
	if err != nil {
		return all, nil, false
	}
	_, _, ofCaddy = caddyconfig.GetAdapter("caddyfile").Adapt(body, map[string]any{"filename": name, collecting: &all})
	return all, ofCaddy, true
}

// containsAll sees that all that was told is told again: otherwise the file has another content than Caddy was given.
func containsAll(all, some []placedFault) bool {
	return !slices.ContainsFunc(some, func(f placedFault) bool { return !slices.Contains(all, f) })
}
