package caddy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/phantomgate/phantomgate/plugins/gateway"
)

// parseDirective reads the handler directive:
//
//	phantom_token {
//		open [<method>...] <path>
//		audience <name> {
//			[<method>...] <path> [<scope>...] [{
//				any_scope  <scope>...
//				acr        <class>...
//				cookies    <name>...
//				max_age    <duration>
//				max_staleness <duration>
//			}]
//		}
//	}
//
// It takes no matcher: a path that no matcher covers would pass unjudged.
func parseDirective(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	var r report
	app := readOption(h.Option(appName))
	routes := r.directive(h.Dispenser, app)
	if err := r.refuse(h, app); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(routes)
	if err != nil {
		return nil, err
	}
	return h.NewRoute(nil, &Handler{Routes: raw}), nil
}

// directive reads phantom_token, on which d is about to stand.
func (r *report) directive(d *caddyfile.Dispenser, app appOption) []gateway.Route {
	d.Next()
	r.at("", "", d)
	r.needsApp(d, directive, app)
	if d.NextArg() {
		r.fault(d, "%s takes no matcher, since what it does not match would pass unjudged; write the rules in its block, or put it into a handle block together with reverse_proxy", directive)
		d.RemainingArgs()
	}
	var routes []gateway.Route
	for _, line := range blockLines(d) {
		switch line.Val() {
		case "open":
			routes = append(routes, r.rule(line, len(routes), gateway.Route{Open: true}))
		case "audience":
			routes = append(routes, r.audience(line, len(routes))...)
		default:
			r.unknown(line, "open", "audience")
		}
	}
	r.addCore(slices.DeleteFunc(faultsOf(gateway.Config{Routes: routes, TokenHandler: app.tokens}.Validate()), func(f *gateway.Fault) bool {
		// Where lines could not be read, "no routes" would only say so once more.
		return !ofRoutes(f) || f.Field == "routes" && len(r.faults) > 0 ||
			len(app.faults) > 0 && strings.Contains(f.Field, ".cookies") // which depends on the app
	}))
	return routes
}

// audience reads the rules of one API.
func (r *report) audience(line *caddyfile.Dispenser, first int) []gateway.Route {
	names := r.words(line, 1)
	if len(names) > 1 {
		r.fault(line, "audience takes one name, and then the API's rules in a block")
	}
	rules := blockLines(line)
	if len(names) != 1 {
		return nil // what its rules ask for cannot be said
	}
	if len(rules) == 0 {
		r.fault(line, "audience %s has no rules; add a block with lines such as: GET /api/orders orders.read", names[0])
	}
	var routes []gateway.Route
	for i, rule := range rules {
		routes = append(routes, r.rule(rule, first+i, gateway.Route{Audience: names[0]}))
	}
	return routes
}

// rule reads one line, which stands on its first word, into route, which will be routes[index].
func (r *report) rule(line *caddyfile.Dispenser, index int, route gateway.Route) gateway.Route {
	r.at(fmt.Sprintf("routes[%d]", index), "", line)
	var words []string
	if !route.Open {
		words = append(words, line.Val())
	}
	unread := len(r.faults)
	words = append(words, r.words(line, 0)...)
	path := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "/") })
	if path < 0 {
		if len(r.faults) == unread {
			r.fault(line, "this rule has no path; write methods, then a path that begins with a slash, then scopes")
		}
		path = len(words)
	} else {
		route.Path = words[path]
		route.Scopes.All = slices.Concat(words[path+1:]) // nil when there are none
	}
	route.Methods = words[:path]
	r.conditions(line, index, &route)
	return route
}

// conditions reads the block of a rule.
func (r *report) conditions(line *caddyfile.Dispenser, index int, route *gateway.Route) {
	field := func(name string) string { return fmt.Sprintf("routes[%d].%s", index, name) }
	list := func(sub *caddyfile.Dispenser, name string, to *[]string) {
		keyword := sub.Val()
		r.at(field(name), keyword, sub)
		*to = append(*to, r.words(sub, 1)...)
		r.noBlock(sub, keyword)
	}
	one := func(sub *caddyfile.Dispenser, keyword, name string, to *gateway.Duration) {
		r.at(field(name), keyword, sub)
		r.value(sub, setting{keyword: keyword, field: field(name), set: duration(to)})
		r.noBlock(sub, keyword)
	}
	for _, sub := range blockLines(line) {
		switch sub.Val() {
		case "any_scope":
			list(sub, "scopes.any", &route.Scopes.Any)
		case "acr":
			list(sub, "acr", &route.ACR)
		case "cookies":
			list(sub, "cookies", &route.Cookies)
		case "max_age":
			one(sub, "max_age", "maxAge", &route.MaxAge)
		case "max_staleness":
			one(sub, "max_staleness", "maxStaleness", &route.MaxStaleness)
		default:
			r.unknown(sub, "any_scope", "acr", "cookies", "max_age", "max_staleness")
		}
	}
}
