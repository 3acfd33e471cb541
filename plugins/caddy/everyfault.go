package caddy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/phantomgate/phantomgate/plugins/gateway"
)

// appOf returns the app that a handler refers to.
func appOf(ctx caddy.Context) (*App, error) {
	app, err := ctx.AppIfConfigured(appName)
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, fmt.Errorf("there is no %s app to say who the issuer is; add it: %w", appName, err)
	}
	if err != nil {
		return nil, err
	}
	return app.(*App), nil
}

// everyFault returns what is wrong with the app and with all handlers of ours in Caddy's config, each by its place in that:
// Caddy stops at the first one that is refused, and an operator wants to know them all. When it finds nothing, because one
// that is refused stands where it does not look, it returns known.
func (a *App) everyFault(ctx caddy.Context, known error) error {
	// An app is known as soon as Caddy begins with it. What of the HTTP app has not been made into handlers is still there.
	httpApp, err := ctx.AppIfConfigured("http")
	if err != nil && !errors.Is(err, caddy.ErrNotConfigured) {
		return err // it was loaded just now, and a handler in it has come here before
	}
	_, err = a.config(json.RawMessage(someRoute))
	all := located("apps."+appName, faultsOf(err))
	if httpApp != nil {
		document, err := json.Marshal(httpApp)
		if err != nil {
			return errors.Join(known, err)
		}
		all = append(all, a.handlerFaults("apps.http", document)...)
	}
	return cmp.Or(errors.Join(all...), known)
}

// handlerFaults finds our handlers in document, which stands at a place of Caddy's config, and returns what is wrong with them.
func (a *App) handlerFaults(at string, document json.RawMessage) (all []error) {
	var list []json.RawMessage
	if json.Unmarshal(document, &list) == nil {
		for i, one := range list {
			all = append(all, a.handlerFaults(fmt.Sprintf("%s[%d]", at, i), one)...)
		}
		return all
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(document, &object) != nil {
		return nil // a string or a number
	}
	switch string(object["handler"]) {
	case `"` + directive + `"`:
		_, err := a.config(object["routes"])
		return located(at, slices.DeleteFunc(faultsOf(err), func(f *gateway.Fault) bool { return !ofRoutes(f) }))
	case `"` + agentDirective + `"`:
		if a.TokenHandler == nil {
			return []error{&gateway.Fault{Field: at, Problem: noTokenHandler}}
		}
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		all = append(all, a.handlerFaults(at+"."+key, object[key])...)
	}
	return all
}

// located returns faults with their places in Caddy's config, and those of a Caddyfile with the place they have.
func located(at string, faults []*gateway.Fault) (all []error) {
	for _, f := range faults {
		if f.Field != "" {
			f = &gateway.Fault{Field: at + "." + f.Field, Problem: f.Problem}
		}
		all = append(all, f)
	}
	return all
}
