package caddy

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

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

func appOf(h httpcaddyfile.Helper) appOption {
	option, ok := h.Option(appName).(httpcaddyfile.App)
	if !ok {
		return appOption{}
	}
	var app App
	a := appOption{given: true}
	err := json.Unmarshal(option.Value, &app)
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

// refuse returns what is wrong with the directive that d was read from, with the global option, and, when anything is, with
// every other directive of ours in the Caddyfile: Caddy stops at the first error, and an operator wants to know them all.
func (r *report) refuse(d *caddyfile.Dispenser, app appOption) error {
	if len(r.faults) == 0 && len(app.faults) == 0 {
		return nil
	}
	for _, other := range ours(d.File()) {
		var more report
		switch other.Next(); other.Val() {
		case directive:
			other.Reset()
			more.directive(other, app)
		case agentDirective:
			other.Reset()
			more.agent(other, app)
		}
		for _, fault := range more.faults {
			if !slices.Contains(r.faults, fault) { // this very directive is among them
				r.faults = append(r.faults, fault)
			}
		}
	}
	return fmt.Errorf("\n%w", joinLines(append(app.faults, r.lines()...)))
}

// ours finds our directives in a Caddyfile, wherever they stand in it and in what it imports, each with its block. A
// Caddyfile that is no file (one that came by Caddy's admin API) has none: then the first fault's directive is told alone.
func ours(file string) (found []*caddyfile.Dispenser) {
	body, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	blocks, err := caddyfile.Parse(file, body)
	if err != nil {
		return nil // Caddy has read it, so it has changed since
	}
	for _, block := range blocks {
		for _, segment := range block.Segments {
			for i, token := range segment {
				begins := i == 0 || segment[i-1].Line != token.Line || segment[i-1].File != token.File
				if begins && (token.Text == directive || token.Text == agentDirective) {
					d := caddyfile.NewDispenser(segment[i:])
					d.Next()
					found = append(found, caddyfile.NewDispenser(d.NextSegment()))
				}
			}
		}
	}
	return found
}
