package caddy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/dustin/go-humanize"

	"github.com/phantomgate/phantomgate/plugins/gateway"
)

// setting is a line of a block that sets one field.
type setting struct {
	keyword string
	field   string // of gateway.Config
	set     func(value string) error
	list    *[]string // in place of set, for a line that takes several values
	flag    *bool     // in place of set, for one that takes none
}

// parseApp reads the global option:
//
//	phantomgate {
//		issuer <name> {
//			url                     <address>    where it is reached, when that is not its name
//			introspection_endpoint  <address>
//			jwks_uri                <address>
//			answer                  <kind>       for an issuer that is not phantomgate's; see docs/keep-your-issuer.md
//			token_endpoint          <address>    with answer token-exchange, in place of introspection_endpoint
//			client_auth             basic|post
//			accept_other_audiences, accept_other_scopes, accept_typ_jwt, accept_jwt_references
//			client                  <id>
//			secret_file             <path>       or: secret_env <name>
//			tenant                  <name>
//			timeout                 <duration>
//			feed_endpoint           <address>    where the revocation feed's streams are made
//			feed_token_endpoint, feed_verification_endpoint, feed_scope
//			                                     with it, for an issuer that is not phantomgate's
//			no_feed                              do not hear it: nothing is cached for longer than a second
//		}
//		cache {
//			max_age           <duration>
//			max_staleness     <duration>         how long the feed may be silent
//			max_size          <size>             such as 64MiB
//			negative_max_age  <duration>
//			negative_entries  <number>
//		}
//		identity_header <name>...
//		token_handler <cookie prefix> { ... }      see report.tokenHandler
//	}
//
// Its faults travel in the app (see App.CaddyfileFaults), so that the directives report them together with their own.
func parseApp(d *caddyfile.Dispenser, earlier any) (any, error) {
	var r report
	var c gateway.Config
	d.Next()
	r.at("", "", d)
	if earlier != nil {
		r.fault(d, "%s is given twice; keep one", appName)
	}
	if d.NextArg() {
		r.fault(d, "%s takes no argument: its settings stand in a block", appName)
		d.RemainingArgs()
	}
	seen := map[string]bool{}
	for _, line := range blockLines(d) {
		keyword := line.Val()
		if seen[keyword] && keyword != "identity_header" {
			r.fault(line, "%s is given twice; keep one", keyword)
			continue
		}
		seen[keyword] = true
		switch keyword {
		case "issuer":
			r.issuer(line, &c.Issuer)
		case "cache":
			r.settings(line, nil, cacheSettings(&c.Cache))
		case "identity_header":
			for _, name := range r.words(line, 1) {
				r.at(fmt.Sprintf("identityHeaders[%d]", len(c.IdentityHeaders)), keyword, line)
				c.IdentityHeaders = append(c.IdentityHeaders, name)
			}
		case "token_handler":
			c.TokenHandler = r.tokenHandler(line)
		default:
			r.unknown(line, "issuer", "cache", "identity_header", "token_handler")
		}
	}
	if !seen["issuer"] && earlier == nil {
		r.fault(d, "there is no issuer; add: issuer <name> { ... }")
	}
	r.addCore(slices.DeleteFunc(faultsOf(c.Validate()), func(f *gateway.Fault) bool {
		return ofRoutes(f) || !seen["issuer"] && strings.HasPrefix(f.Field, "issuer.")
	}))
	app, err := appJSON(c, r.ofSecrets(), append(readOption(earlier).faults, r.lines()...))
	return httpcaddyfile.App{Name: appName, Value: app}, err
}

func appJSON(c gateway.Config, places map[string]string, faults []string) (json.RawMessage, error) {
	if len(faults) > 0 {
		return json.Marshal(App{CaddyfileFaults: faults})
	}
	return json.Marshal(struct {
		Issuer          gateway.Issuer        `json:"issuer"`
		Cache           gateway.Cache         `json:"cache,omitzero"`
		IdentityHeaders []string              `json:"identityHeaders,omitempty"`
		TokenHandler    *gateway.TokenHandler `json:"tokenHandler,omitempty"`
		CaddyfilePlaces map[string]string     `json:"caddyfilePlaces,omitempty"`
	}{c.Issuer, c.Cache, c.IdentityHeaders, c.TokenHandler, places})
}

func (r *report) issuer(line *caddyfile.Dispenser, i *gateway.Issuer) {
	r.at("issuer", "", line)
	name := setting{keyword: "issuer", field: "issuer.issuer", set: text(&i.Issuer)}
	r.settings(line, &name, []setting{
		{keyword: "url", field: "issuer.url", set: text(&i.URL)},
		{keyword: "introspection_endpoint", field: "issuer.introspectionEndpoint", set: text(&i.IntrospectionEndpoint)},
		{keyword: "jwks_uri", field: "issuer.jwksUri", set: text(&i.JWKSURI)},
		{keyword: "token_endpoint", field: "issuer.tokenEndpoint", set: text(&i.TokenEndpoint)},
		{keyword: "answer", field: "issuer.answer", set: text(&i.Answer)},
		{keyword: "accept_other_audiences", field: "issuer.acceptOtherAudiences", flag: &i.AcceptOtherAudiences},
		{keyword: "accept_other_scopes", field: "issuer.acceptOtherScopes", flag: &i.AcceptOtherScopes},
		{keyword: "accept_typ_jwt", field: "issuer.acceptTypJwt", flag: &i.AcceptTypJWT},
		{keyword: "accept_jwt_references", field: "issuer.acceptJwtReferences", flag: &i.AcceptJWTReferences},
		{keyword: "client", field: "issuer.clientId", set: text(&i.ClientID)},
		{keyword: "secret_file", field: "issuer.clientSecretFile", set: text(&i.ClientSecretFile)},
		{keyword: "secret_env", field: "issuer.clientSecretEnv", set: text(&i.ClientSecretEnv)},
		{keyword: "secret", field: "issuer.clientSecret", set: noSecret},
		{keyword: "client_auth", field: "issuer.clientAuth", set: text(&i.ClientAuth)},
		{keyword: "tenant", field: "issuer.tenant", set: text(&i.Tenant)},
		{keyword: "timeout", field: "issuer.timeout", set: duration(&i.Timeout)},
		{keyword: "feed_endpoint", field: "issuer.feedEndpoint", set: text(&i.FeedEndpoint)},
		{keyword: "feed_token_endpoint", field: "issuer.feedTokenEndpoint", set: text(&i.FeedTokenEndpoint)},
		{keyword: "feed_verification_endpoint", field: "issuer.feedVerificationEndpoint", set: text(&i.FeedVerificationEndpoint)},
		{keyword: "feed_scope", field: "issuer.feedScope", set: text(&i.FeedScope)},
		{keyword: "no_feed", field: "issuer.noFeed", flag: &i.NoFeed},
	})
}

func cacheSettings(c *gateway.Cache) []setting {
	return []setting{
		{keyword: "max_age", field: "cache.maxAge", set: duration(&c.MaxAge)},
		{keyword: "max_staleness", field: "cache.maxStaleness", set: duration(&c.MaxStaleness)},
		{keyword: "max_size", field: "cache.maxBytes", set: func(v string) error {
			n, err := humanize.ParseBytes(v)
			if err != nil || n == 0 || n > 1<<62 {
				return fmt.Errorf("%q is not a size; write one such as 64MiB", v)
			}
			c.MaxBytes = int64(n)
			return nil
		}},
		{keyword: "negative_max_age", field: "cache.negativeMaxAge", set: duration(&c.NegativeMaxAge)},
		{keyword: "negative_entries", field: "cache.negativeEntries", set: func(v string) error {
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 {
				return fmt.Errorf("%q is not a number above zero", v)
			}
			c.NegativeEntries = n
			return nil
		}},
	}
}

// settings reads line's own value into own, or checks that there is none, and then the lines of its block.
func (r *report) settings(line *caddyfile.Dispenser, own *setting, inside []setting) {
	if own != nil {
		r.at(own.field, own.keyword, line)
		r.value(line, *own)
	} else if keyword := line.Val(); len(line.RemainingArgs()) > 0 {
		r.fault(line, "%s takes no value: its settings stand in a block, a line each", keyword)
	}
	seen := map[string]bool{}
	for _, sub := range blockLines(line) {
		i := slices.IndexFunc(inside, func(s setting) bool { return s.keyword == sub.Val() })
		switch {
		case i < 0:
			r.unknown(sub, keywords(inside)...)
		case seen[sub.Val()]:
			r.fault(sub, "%s is given twice; keep one", sub.Val())
		default:
			seen[sub.Val()] = true
			r.at(inside[i].field, inside[i].keyword, sub)
			r.value(sub, inside[i])
			r.noBlock(sub, inside[i].keyword)
		}
	}
}

// value reads the one value behind a keyword, or sees that a flag has none.
func (r *report) value(line *caddyfile.Dispenser, s setting) {
	if s.flag != nil {
		if *s.flag = true; len(line.RemainingArgs()) > 0 {
			r.fault(line, "%s takes no value: it stands alone, or is left out", s.keyword)
		}
		return
	}
	words := r.words(line, 1)
	switch {
	case len(words) > 1:
		r.fault(line, "%s takes one value", s.keyword)
	case len(words) == 1:
		if err := s.set(words[0]); err != nil {
			r.fault(line, "%s: %v", s.keyword, err)
		}
	}
}

// words returns the arguments of line, at least atLeast. A placeholder is no word: nothing here is decided by what a
// request, or a file that changes later, says.
func (r *report) words(line *caddyfile.Dispenser, atLeast int) []string {
	keyword := line.Val()
	words := line.RemainingArgs()
	if len(words) < atLeast {
		r.fault(line, "%s needs a value", keyword)
	}
	for _, w := range words {
		if strings.ContainsAny(w, "{}") {
			r.fault(line, "%q: placeholders are not replaced here; write the value itself, or {$NAME} to take it from the environment", w)
			return nil
		}
	}
	return words
}

func (r *report) noBlock(line *caddyfile.Dispenser, keyword string) {
	if len(blockLines(line)) > 0 {
		r.fault(line, "%s takes no block", keyword)
	}
}

func (r *report) unknown(line *caddyfile.Dispenser, known ...string) {
	r.fault(line, "%s is not known here; there are %s", line.Val(), strings.Join(known, ", "))
}

func keywords(settings []setting) []string {
	var all []string
	for _, s := range settings {
		if s.keyword != "secret" { // known only to be refused
			all = append(all, s.keyword)
		}
	}
	return all
}

// blockLines returns the lines of the block that follows in d, if one does, each standing on its first word and with
// its own block inside. So a fault in one line never spoils the reading of the next.
func blockLines(d *caddyfile.Dispenser) []*caddyfile.Dispenser {
	var lines []*caddyfile.Dispenser
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		line := caddyfile.NewDispenser(d.NextSegment())
		line.Next()
		lines = append(lines, line)
	}
	return lines
}

func text(to *string) func(string) error {
	return func(v string) error {
		*to = v
		return nil
	}
}

func duration(to *gateway.Duration) func(string) error {
	return func(v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return fmt.Errorf("%q is not a duration above zero; write one such as 1s or 5m", v)
		}
		*to = gateway.Duration(d)
		return nil
	}
}
