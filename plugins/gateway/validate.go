package gateway

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/phantomgate/phantomgate/plugins/policy"
)

// The defaults and bounds of the schema; config.go documents them where they are used.
const (
	defaultTenant          = "default"
	defaultTimeout         = 2 * time.Second
	defaultMaxStaleness    = 5 * time.Second
	defaultMaxBytes        = 64 << 20
	defaultNegativeMaxAge  = time.Second
	defaultNegativeEntries = 1 << 16

	longestTimeout = 30 * time.Second
	// longestMaxAge is the longest life of a phantom token. Revocations are pushed, so a longer life would be no danger.
	longestMaxAge = 5 * time.Minute
	// longestMaxAgeForeign holds with a foreign issuer's feed, which does not prove that it tells everything.
	longestMaxAgeForeign = time.Minute
	defaultFeedScope     = "ssf.manage"
	// longestMaxAgeUnheard holds without a feed: a cached token outlives its revocation by this much at most.
	longestMaxAgeUnheard  = time.Second
	longestNegativeMaxAge = 10 * time.Second
	leastBytes            = 1 << 20
	mostBytes             = 64 << 30
	mostNegativeEntries   = 1 << 24
)

// withDefaults returns c with every default in place.
func (c Config) withDefaults() Config {
	i, cache := &c.Issuer, &c.Cache
	i.URL = strings.TrimSuffix(orDefault(i.URL, i.Issuer), "/")
	i.IntrospectionEndpoint = orDefault(i.IntrospectionEndpoint, i.URL+"/oauth/introspect")
	i.JWKSURI = orDefault(i.JWKSURI, i.URL+"/oauth/jwks")
	i.Tenant = orDefault(i.Tenant, defaultTenant)
	i.Timeout = orDefault(i.Timeout, Duration(defaultTimeout))
	if i.heard() {
		i.FeedEndpoint = orDefault(i.FeedEndpoint, i.URL+"/ssf/streams")
		if i.foreign() {
			i.FeedScope = orDefault(i.FeedScope, defaultFeedScope)
		}
		cache.MaxStaleness = orDefault(cache.MaxStaleness, Duration(defaultMaxStaleness))
	}
	cache.MaxAge = orDefault(cache.MaxAge, Duration(i.longestMaxAge()))
	cache.MaxBytes = orDefault(cache.MaxBytes, defaultMaxBytes)
	cache.NegativeMaxAge = orDefault(cache.NegativeMaxAge, Duration(defaultNegativeMaxAge))
	cache.NegativeEntries = orDefault(cache.NegativeEntries, defaultNegativeEntries)
	if c.TokenHandler != nil {
		h := c.TokenHandler.withDefaults(*i)
		c.TokenHandler = &h
	}
	return c
}

func orDefault[T comparable](v, byDefault T) T {
	var zero T
	if v == zero {
		return byDefault
	}
	return v
}

// validate returns every fault of c.
func validate(c Config) []*Fault {
	var faults []*Fault
	fault := func(field, format string, args ...any) {
		faults = append(faults, &Fault{Field: field, Problem: fmt.Sprintf(format, args...)})
	}
	validateIssuer(c.Issuer, fault)
	validateForeign(c, fault)
	validateCache(c, fault)
	validateFeed(c, fault)
	validateTokenHandler(c, fault)
	for i, name := range c.IdentityHeaders {
		if err := checkIdentityHeader(name); err != nil {
			fault(fmt.Sprintf("identityHeaders[%d]", i), "%v", err)
		}
	}
	if len(c.Routes) == 0 {
		fault("routes", "missing; without a route every request is refused")
	}
	_, ruleFaults := policy.Compile(rules(c.Routes))
	for _, f := range ruleFaults {
		fault(strings.TrimSuffix(fmt.Sprintf("routes[%d].%s", f.Rule, f.Field), "."), "%s", f.Problem)
	}
	return faults
}

func validateIssuer(i Issuer, fault func(field, format string, args ...any)) {
	if i.Issuer == "" {
		fault("issuer.issuer", "missing; write the issuer's name as it stands in its tokens' iss")
	}
	addresses := []struct{ field, value string }{
		{"issuer.issuer", i.Issuer}, {"issuer.url", i.URL},
		{"issuer.introspectionEndpoint", i.IntrospectionEndpoint}, {"issuer.jwksUri", i.JWKSURI},
		{"issuer.tokenEndpoint", i.TokenEndpoint}, {"issuer.feedEndpoint", i.FeedEndpoint},
		{"issuer.feedTokenEndpoint", i.FeedTokenEndpoint}, {"issuer.feedVerificationEndpoint", i.FeedVerificationEndpoint},
	}
	for _, a := range addresses {
		if a.value == "" {
			continue // missing, or a default
		}
		if u, err := url.Parse(a.value); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" ||
			u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(a.value, "#") {
			fault(a.field, "must be an address such as https://issuer.example, without user, query and fragment")
		}
	}
	if i.ClientID == "" {
		fault("issuer.clientId", "missing; write this gateway's name at the issuer")
	}
	if err := i.secret().check(); err != nil {
		fault("issuer.clientSecret", "%v", err)
	}
	if i.Timeout < 0 || time.Duration(i.Timeout) > longestTimeout {
		fault("issuer.timeout", "must be above zero and at most %s", longestTimeout)
	}
}

func validateCache(cfg Config, fault func(field, format string, args ...any)) {
	c := cfg.Cache
	switch longest := cfg.Issuer.longestMaxAge(); {
	case c.MaxAge >= 0 && time.Duration(c.MaxAge) <= longest:
	case cfg.Issuer.heard() && cfg.Issuer.foreign():
		fault("cache.maxAge", "must be above zero and at most %s: a foreign issuer's feed does not prove that it tells everything", longest)
	case cfg.Issuer.heard():
		fault("cache.maxAge", "must be above zero and at most %s, which is as long as a phantom token lives", longest)
	default:
		fault("cache.maxAge", "must be above zero and at most %s: without a revocation feed a revoked token passes for as long as this", longest)
	}
	if c.MaxBytes != 0 && (c.MaxBytes < leastBytes || c.MaxBytes > mostBytes) {
		fault("cache.maxBytes", "must be between %d and %d", leastBytes, int64(mostBytes))
	}
	if c.NegativeMaxAge < 0 || time.Duration(c.NegativeMaxAge) > longestNegativeMaxAge {
		fault("cache.negativeMaxAge", "must be above zero and at most %s", longestNegativeMaxAge)
	}
	if c.NegativeEntries < 0 || c.NegativeEntries > mostNegativeEntries {
		fault("cache.negativeEntries", "must be between 1 and %d", mostNegativeEntries)
	}
}

// rules translates routes to the policy's terms.
func rules(routes []Route) []policy.Rule {
	out := make([]policy.Rule, len(routes))
	for i, r := range routes {
		out[i] = policy.Rule{
			Path: r.Path, OperationID: r.OperationID, Methods: r.Methods, Open: r.Open, Audience: r.Audience,
			All: r.Scopes.All, Any: r.Scopes.Any, ACR: r.ACR, MaxAge: time.Duration(r.MaxAge),
		}
	}
	return out
}
