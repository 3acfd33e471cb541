package caddy

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/phantomgate/phantomgate/plugins/gateway"
)

// faultsOf takes apart what gateway.Parse and Config.Validate return.
func faultsOf(err error) []*gateway.Fault {
	switch e := err.(type) {
	case nil:
		return nil
	case *gateway.Fault:
		return []*gateway.Fault{e}
	case interface{ Unwrap() []error }:
		var all []*gateway.Fault
		for _, one := range e.Unwrap() {
			all = append(all, faultsOf(one)...)
		}
		return all
	}
	return []*gateway.Fault{{Problem: err.Error()}}
}

func ofRoutes(f *gateway.Fault) bool { return strings.HasPrefix(f.Field, "routes") }

// ofSecrets returns where the secrets are named, by field: see App.CaddyfilePlaces.
func (r *report) ofSecrets() map[string]string {
	places := map[string]string{}
	for field, at := range r.places {
		switch at.keyword {
		case "secret_file", "secret_env", "cookie_key":
			places[field] = at.String() + ": " + at.keyword
		}
	}
	return places
}

// inCaddyfile puts the place in the Caddyfile before each fault of err that has one, in the stead of the field's name.
func (a *App) inCaddyfile(err error) error {
	var lines []string
	for _, f := range faultsOf(err) {
		line := f.Error()
		for field, place := range a.CaddyfilePlaces {
			if f.Field == field || strings.HasPrefix(f.Field, field+".") {
				line = place + ": " + f.Problem
			}
		}
		lines = append(lines, line)
	}
	if len(a.CaddyfilePlaces) == 0 || len(lines) == 0 {
		return err
	}
	return fmt.Errorf("\n%w", joinLines(lines))
}

// joinLines makes one error of lines, each on a line of its own.
func joinLines(lines []string) error {
	var all []error
	for _, line := range lines {
		all = append(all, errors.New(line))
	}
	return errors.Join(all...)
}

// report collects the faults of one block of a Caddyfile, each with its place, and remembers where each field of
// gateway.Config was written, so that the core's faults get a place too.
type report struct {
	faults []placedFault
	places map[string]place // by field; "" is the block itself
}

// place is where a field was written, and by what keyword, if by any.
type place struct {
	file    string
	line    int
	keyword string
}

func (p place) String() string { return fmt.Sprintf("%s:%d", p.file, p.line) }

type placedFault struct {
	place
	problem string
}

// at notes that field is written where d stands.
func (r *report) at(field, keyword string, d *caddyfile.Dispenser) {
	if r.places == nil {
		r.places = map[string]place{}
	}
	r.places[field] = place{d.File(), d.Line(), keyword}
}

// fault reports something that cannot be read where d stands.
func (r *report) fault(d *caddyfile.Dispenser, format string, args ...any) {
	r.faults = append(r.faults, placedFault{place{file: d.File(), line: d.Line()}, fmt.Sprintf(format, args...)})
}

// addCore adds what the core found wrong with what could be read. It leaves out what the core says of a line that
// could not be read: that something is missing there, which stands there.
func (r *report) addCore(faults []*gateway.Fault) {
	unread := map[string]bool{}
	for _, f := range r.faults {
		unread[f.String()] = true
	}
	for _, f := range faults {
		at, rest := r.find(f.Field)
		if unread[at.String()] && (rest == "" || ofRoutes(f) || at.keyword == "cookie_key") {
			continue
		}
		if words := label(at.keyword, rest); words != "" {
			r.faults = append(r.faults, placedFault{at, words + ": " + r.inCaddyfileWords(f.Problem)})
		} else {
			r.faults = append(r.faults, placedFault{at, r.inCaddyfileWords(f.Problem)})
		}
	}
}

// lines returns the faults as file:line: problem, in the order of the file.
func (r *report) lines() []string {
	slices.SortStableFunc(r.faults, func(a, b placedFault) int {
		return cmp.Or(strings.Compare(a.file, b.file), a.line-b.line)
	})
	var lines []string
	for _, f := range r.faults {
		lines = append(lines, f.String()+": "+f.problem)
	}
	return lines
}

// find returns the place of field, or of the nearest thing around it, and what of field lies inside that.
func (r *report) find(field string) (at place, rest string) {
	for around := field; around != ""; around = around[:max(0, strings.LastIndexAny(around, ".["))] {
		if at, ok := r.places[around]; ok {
			return at, strings.TrimPrefix(field[len(around):], ".")
		}
	}
	return r.places[""], field
}

// label names a field as a Caddyfile does: by the keyword it was written with, or by the one that is missing.
func label(keyword, rest string) string {
	if keyword != "" {
		return keyword
	}
	rest, _, _ = strings.Cut(rest, "[")
	switch rest {
	case "clientId":
		return "client"
	case "clientSecret":
		return "secret"
	case "scopes.all":
		return "scopes"
	case "origins":
		return "origin"
	case "cookieKeys":
		return "cookie_key"
	case "introspectionEndpoint":
		return "introspection_endpoint"
	case "feedEndpoint":
		return "feed_endpoint"
	case "feedTokenEndpoint":
		return "feed_token_endpoint"
	case "feedVerificationEndpoint":
		return "feed_verification_endpoint"
	case "feedScope":
		return "feed_scope"
	case "noFeed":
		return "no_feed"
	case "maxStaleness":
		return "max_staleness"
	case "jwksUri":
		return "jwks_uri"
	case "authorizationEndpoint":
		return "authorization_endpoint"
	case "endSessionEndpoint":
		return "end_session_endpoint"
	case "tokenEndpoint":
		return "token_endpoint"
	case "revocationEndpoint":
		return "revocation_endpoint"
	case "userInfoEndpoint":
		return "userinfo_endpoint"
	case "redirectUri":
		return "redirect_uri"
	case "postLogoutRedirectUris":
		return "post_logout_redirect_uri"
	}
	return rest
}

// inCaddyfileWords replaces the words of the JSON schema by those of a Caddyfile, which has no inline secret: Caddy
// keeps the adapted config on disk.
func (r *report) inCaddyfileWords(problem string) string {
	problem = strings.NewReplacer(
		"clientSecretFile, clientSecretEnv or clientSecret", "secret_file or secret_env",
		"clientSecretFile, clientSecretEnv and clientSecret", "secret_file and secret_env",
		"or say open: true", "or make the rule open",
		"under all or any, ", "behind the path, ",
		"issuer.noFeed", "no_feed",
	).Replace(problem)
	return routeIndex.ReplaceAllStringFunc(problem, func(route string) string {
		other, _ := r.find(route)
		return "the rule at " + other.String()
	})
}

// routeIndex is how the core names another route in a problem.
var routeIndex = regexp.MustCompile(`routes\[\d+\]`)
